"""The pictures of a reader study in the slice views: blind, and zoomed, moved and windowed as one."""

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from . import ArrayFiles, Volumes

LEFT, RIGHT, ALONE = "LowLightStudyLeft", "LowLightStudyRight", "LowLightStudyImage"
_LAYOUTS = {1: 51703, 2: 51704}
"""Numbers of our layouts, by the number of pictures; Slicer's own are below 1000."""
_VIEW = (
    '<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
    '<property name="orientation" action="default">Axial</property>'
    '<property name="viewlabel" action="default">{label}</property>'
    '<property name="viewcolor" action="default">#8C8C8C</property>'
    "</view></item>"
)


class StudyViews:
    """One or two pictures. Slicer's layout of before comes back with `close`."""

    def __init__(self):
        self._before, self._volumes, self._observed = None, [], []
        self._following = False

    @property
    def tags(self):
        """Names of the views that are in use, from left to right."""
        return ((ALONE,), (LEFT, RIGHT))[len(self._volumes) - 1] if self._volumes else ()

    def show(self, images):
        """Show pictures, from left to right, each whole and with black and white as they are (list of vtkImageData)."""
        self.blank()
        manager = slicer.app.layoutManager()
        if manager.layout not in _LAYOUTS.values():
            self._before = manager.layout
        self._addLayouts()
        if manager.layout != _LAYOUTS[len(images)]:
            manager.setLayout(_LAYOUTS[len(images)])
        names = (_("Image"),) if len(images) == 1 else (_("Left"), _("Right"))
        self._volumes = [_added(image, name) for image, name in zip(images, names)]
        for tag, volume in zip(self.tags, self._volumes):
            self._composite(tag).SetBackgroundVolumeID(volume.GetID())
        self.reset()
        # Views of a new layout get their size once Qt has its turn.
        qt.QTimer.singleShot(0, self._fit)
        self._follow()

    def blank(self):
        """Show nothing: pictures of a pause, or of before, are out of the scene."""
        self._unfollow()
        for volume in self._volumes:
            if volume.GetScene() is not None:
                display = volume.GetDisplayNode()
                slicer.mrmlScene.RemoveNode(volume)
                slicer.mrmlScene.RemoveNode(display)
        self._volumes = []

    def close(self):
        """Slicer's own layout again."""
        self.blank()
        manager = slicer.app.layoutManager()
        if manager.layout in _LAYOUTS.values():
            manager.setLayout(self._before or slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)

    def forget(self):
        """The scene is closed: nothing of it is there any more."""
        self._unfollow()
        self._volumes = []

    def reset(self):
        """Whole pictures, with black and white as they are."""
        self._fit()
        self.window(0, 0)

    def _fit(self):
        for tag, volume in zip(self.tags, self._volumes):
            node = self._sliceNode(tag)
            node.RotateToVolumePlane(volume)
            node.SetXYZOrigin(0, 0, 0)
            slicer.app.layoutManager().sliceWidget(tag).sliceLogic().FitSliceToAll()

    def zoom(self, factor):
        """Make everything larger by a factor, about the middle."""
        if self._volumes:
            node = self._sliceNode(self.tags[0])
            across, down, deep = node.GetFieldOfView()
            node.SetFieldOfView(across / factor, down / factor, deep)
            node.UpdateMatrices()

    def window(self, brightness, contrast):
        """Change black and white of all pictures; both from -1 to 1, 0 as they are."""
        for volume in self._volumes:
            white = _largest(volume)
            width = white / 4.0**contrast
            middle = white * (0.5 - 0.5 * brightness)
            Volumes.setWindow(volume, (middle - width / 2, middle + width / 2))

    # One as the other

    def _follow(self):
        views = [self._sliceNode(tag) for tag in self.tags]
        displays = [volume.GetDisplayNode() for volume in self._volumes]
        for nodes, alike in ((views, _sameView), (displays, _sameWindow)):
            for node in nodes:
                others = [other for other in nodes if other is not node]
                tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._asOthers(others, alike))
                self._observed.append((node, tag))

    def _asOthers(self, others, alike):
        def changed(node, _event):
            if not self._following:
                self._following = True
                try:
                    for other in others:
                        alike(node, other)
                finally:
                    self._following = False

        return changed

    def _unfollow(self):
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = []

    # Views

    @staticmethod
    def _addLayouts():
        layout = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
        left, right = _VIEW.format(tag=LEFT, label=_("Left")), _VIEW.format(tag=RIGHT, label=_("Right"))
        alone = _VIEW.format(tag=ALONE, label=_("Image"))
        for number, views in ((_LAYOUTS[1], alone), (_LAYOUTS[2], left + right)):
            if not layout.IsLayoutDescription(number):
                layout.AddLayoutDescription(number, f'<layout type="horizontal" split="true">{views}</layout>')

    @staticmethod
    def _sliceNode(tag):
        return slicer.app.layoutManager().sliceWidget(tag).mrmlSliceNode()

    @staticmethod
    def _composite(tag):
        composite = slicer.app.layoutManager().sliceWidget(tag).sliceLogic().GetSliceCompositeNode()
        # Slicer's own link tells all views, also those of other images; here the two follow each other alone.
        composite.SetLinkedControl(False)
        composite.SetForegroundVolumeID(None)
        composite.SetLabelVolumeID(None)
        return composite


def taken(paths, images):
    """Generator: read pictures from files, remove those, and append a vtkImageData for each to `images`."""
    import numpy as np

    for path in paths:
        header = np.load(path, mmap_mode="r", allow_pickle=False)
        image, target = Volumes.newImage((1, *header.shape), header.dtype)
        del header
        yield from ArrayFiles.copied(path, target[0])
        images.append(image)


def _added(image, name):
    """A volume that no list of Slicer offers and no scene file keeps: its place tells nothing, nor does its name."""
    colour = image.GetNumberOfScalarComponents() == 3
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLVectorVolumeNode" if colour else "vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetAndObserveImageData(image)
    directions = vtk.vtkMatrix4x4()
    directions.SetElement(0, 0, -1)
    directions.SetElement(1, 1, -1)
    node.SetIJKToRASDirectionMatrix(directions)
    node = slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSaveWithScene(False)
    return node


def _largest(volume):
    import numpy as np

    return float(np.iinfo(Volumes.arrayOf(volume).dtype).max)


def _sameView(node, other):
    """Show the same place as large, whatever the sizes of the two views."""
    sizes = [max(size, 1) for size in node.GetDimensions()], [max(size, 1) for size in other.GetDimensions()]
    extent = [length * theirs / ours for length, ours, theirs in zip(node.GetFieldOfView(), *sizes)]
    other.GetSliceToRAS().DeepCopy(node.GetSliceToRAS())
    other.SetFieldOfView(extent[0], extent[1], node.GetFieldOfView()[2])
    other.SetXYZOrigin(*node.GetXYZOrigin())
    other.UpdateMatrices()


def _sameWindow(node, other):
    other.SetAutoWindowLevel(False)
    other.SetWindowLevelMinMax(node.GetWindowLevelMin(), node.GetWindowLevelMax())
