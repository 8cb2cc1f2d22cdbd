"""What an enhancement writes to: a volume, or a sequence of them; both made by this module alone."""

import slicer
from slicer.i18n import tr as _

from . import Volumes


class VolumeOutput:
    """One new volume beside the source.

    Attributes:
        node: the volume. shown: the same, what views display. frames: how many slices.
    """

    def __init__(self, picture, image, limits):
        name = _("{name} enhanced").format(name=picture.node.GetName())
        self.node = self.shown = Volumes.addResult(picture, image, name, limits)
        self.frames = image.GetDimensions()[2]

    def frame(self, index):
        """Pixels of one slice, to be written to; without opacity."""
        array = Volumes.arrayOf(self.node)[index]
        return array[..., :3] if array.ndim == 3 else array

    def changed(self, index=None):
        """Tell Slicer that one slice (None: all) has changed."""
        Volumes.changed(self.node)

    def current(self):
        """Number of the slice that is looked at; None: views know."""
        return None


class SequenceOutput:
    """A new sequence, browsed together with the source's.

    Attributes:
        node: the sequence. shown: its volume in the scene, what views display. frames: how many images.
    """

    def __init__(self, picture, image, limits):
        self.frames = image.GetDimensions()[2]
        array = self._arrays(image)
        self.node = slicer.mrmlScene.AddNewNodeByClass(
            "vtkMRMLSequenceNode",
            slicer.mrmlScene.GenerateUniqueName(_("{name} enhanced").format(name=picture.node.GetName())),
        )
        self.node.SetIndexName(picture.node.GetIndexName())
        self.node.SetIndexUnit(picture.node.GetIndexUnit())
        for index in range(self.frames):
            item = picture.node.GetNthDataNode(index)
            volume = slicer.mrmlScene.CreateNodeByClass(item.GetClassName())
            volume.UnRegister(None)
            one, pixels = Volumes.newImage(array[index : index + 1].shape, array.dtype)
            pixels[...] = array[index : index + 1]
            volume.SetAndObserveImageData(one)
            volume.CopyOrientation(item)
            volume.SetName(self.node.GetName())
            # The volume that shows the sequence takes it from here.
            volume.SetAttribute(Volumes.MADE, "1")
            self.node.SetDataNodeAtValue(volume, picture.node.GetNthIndexValue(index))
        Volumes.mark(self.node, picture.node)
        self._browser = browserOf(picture.node) or self._newBrowser(picture.node)
        self._browser.AddSynchronizedSequenceNode(self.node)
        self._browser.SetOverwriteProxyName(self.node, False)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self._browser)
        self.shown = self._browser.GetProxyNode(self.node)
        self.shown.CreateDefaultDisplayNodes()
        self.shown.SetName(self.node.GetName())
        Volumes.mark(self.shown, picture.node)
        Volumes.copyDisplay(self._browser.GetProxyNode(picture.node), self.shown, limits)
        Volumes.placeBeside(picture.node, self.node)

    def frame(self, index):
        """Pixels of one image, to be written to; without opacity."""
        array = Volumes.arrayOf(self.node.GetNthDataNode(index))[0]
        return array[..., :3] if array.ndim == 3 else array

    def changed(self, index=None):
        """Tell Slicer that one image (None: all) has changed."""
        for number in range(self.frames) if index is None else (index,):
            Volumes.changed(self.node.GetNthDataNode(number))
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self._browser)

    def current(self):
        """Number of the image that is looked at."""
        return self._browser.GetSelectedItemNumber()

    @staticmethod
    def _arrays(image):
        from vtk.util.numpy_support import vtk_to_numpy

        width, height, frames = image.GetDimensions()
        count = image.GetNumberOfScalarComponents()
        array = vtk_to_numpy(image.GetPointData().GetScalars())
        return array.reshape((frames, height, width) if count == 1 else (frames, height, width, count))

    @staticmethod
    def _newBrowser(sequence):
        browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", sequence.GetName())
        browser.AddSynchronizedSequenceNode(sequence)
        return browser


def browserOf(sequence):
    """The sequence browser that plays a sequence; None: there is none."""
    scene = slicer.mrmlScene
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
        browser = scene.GetNthNodeByClass(index, "vtkMRMLSequenceBrowserNode")
        if browser.IsSynchronizedSequenceNode(sequence, True):
            return browser
    return None


def outputFor(picture, image, limits):
    """A new output of the source's kind."""
    made = SequenceOutput if picture.node.IsA("vtkMRMLSequenceNode") else VolumeOutput
    return made(picture, image, limits)
