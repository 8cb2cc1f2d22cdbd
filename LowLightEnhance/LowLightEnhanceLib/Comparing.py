"""Original and result in the slice views: side by side and linked, or wiped over each other, with a map on top."""

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _

from . import Volumes

ORIGINAL, ENHANCED, WIPE = "LowLightOriginal", "LowLightEnhanced", "LowLightWipe"
_SIDE_BY_SIDE, _WIPED = 51701, 51702
"""Numbers of our layouts; Slicer's own are below 1000."""
_VIEW = (
    '<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
    '<property name="orientation" action="default">Axial</property>'
    '<property name="viewlabel" action="default">{label}</property>'
    '<property name="viewcolor" action="default">{colour}</property>'
    "</view></item>"
)


class Comparison:
    """Shows one enhancement. Slicer's layout of before comes back with `close`."""

    def __init__(self):
        self._before = None
        self._enhancement, self._map, self._opacity = None, None, 0.5
        self._wipe = None
        self._filled = {}

    @property
    def mode(self):
        """ "side", "wipe", or "" while Slicer's own layout is shown."""
        return {_SIDE_BY_SIDE: "side", _WIPED: "wipe"}.get(self._manager().layout, "")

    def show(self, enhancement, mode):
        """Show an enhancement "side" by side or as a "wipe"."""
        manager = self._manager()
        self._enhancement = enhancement
        if not self.mode:
            self._before = manager.layout
        self._addLayouts()
        wanted = _SIDE_BY_SIDE if mode == "side" else _WIPED
        if manager.layout != wanted:
            manager.setLayout(wanted)
        source, result = sourceShown(enhancement), enhancement.output.shown
        if mode == "side":
            self._removeWipe()
            fresh = self._fill(ORIGINAL, source)
            # Of an image that is already looked at, a new result is shown at the same place and size.
            self._fill(ENHANCED, result, like=None if fresh else self._sliceNode(ORIGINAL))
        else:
            if self._wipe is None or not self._wipe.of(enhancement):
                self._removeWipe()
                self._wipe = Wipe(enhancement)
            self._fill(WIPE, self._wipe.node)
            self._wipe.follow(self._sliceNode(WIPE))
        self._overlay()

    def close(self):
        """Slicer's own layout again; the wipe's volume goes."""
        if self.mode:
            self._manager().setLayout(self._before or slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
        self._removeWipe()
        self._enhancement, self._filled = None, {}

    def forget(self):
        """The scene was closed: nothing of it is there any more."""
        self._enhancement, self._map, self._wipe, self._filled = None, None, None, {}

    def wipeTo(self, share):
        """Where the border lies: 0 all enhanced, 1 all original."""
        if self._wipe is not None:
            self._wipe.to(share)

    def refresh(self):
        """The result's pixels or a window have changed."""
        if self._wipe is not None:
            self._wipe.redraw()

    def showMap(self, node, opacity=None):
        """Lay a map over the result; None: take it away."""
        for other in (self._map, node):
            self._setLegend(other, other is node)
        self._map = node
        self._opacity = self._opacity if opacity is None else opacity
        self._overlay()

    def setOpacity(self, opacity):
        """How strongly the map covers the image, in [0, 1]."""
        self._opacity = opacity
        self._overlay()

    def currentSlice(self):
        """Number of the slice that the result's view shows."""
        if self._enhancement is None:
            return 0
        own = self._enhancement.output.current()
        if own is not None:
            return own
        node = self._sliceNode(WIPE if self.mode == "wipe" else ENHANCED)
        return sliceNumber(node, self._enhancement.output.shown) if node is not None else 0

    # Views

    @staticmethod
    def _manager():
        return slicer.app.layoutManager()

    def _addLayouts(self):
        layout = self._manager().layoutLogic().GetLayoutNode()
        original = _VIEW.format(tag=ORIGINAL, label=_("Original"), colour="#8C8C8C")
        enhanced = _VIEW.format(tag=ENHANCED, label=_("Enhanced"), colour="#E8A33D")
        wiped = _VIEW.format(tag=WIPE, label=_("Original | Enhanced"), colour="#E8A33D")
        for number, views in ((_SIDE_BY_SIDE, original + enhanced), (_WIPED, wiped)):
            if not layout.IsLayoutDescription(number):
                layout.AddLayoutDescription(number, f'<layout type="horizontal" split="true">{views}</layout>')

    def _sliceNode(self, tag):
        widget = self._manager().sliceWidget(tag)
        return widget.mrmlSliceNode() if widget is not None else None

    def _fill(self, tag, volume, like=None):
        """Show a volume in a view, whole, or as another view shows its own; whether it was not shown there before."""
        logic = self._manager().sliceWidget(tag).sliceLogic()
        composite, node = logic.GetSliceCompositeNode(), self._sliceNode(tag)
        # By itself, not by its ID: another scene's volumes have the same ones.
        fresh = self._filled.get(tag) is not volume
        self._filled[tag] = volume
        composite.SetBackgroundVolumeID(volume.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLabelVolumeID(None)
        composite.SetLinkedControl(True)
        composite.SetHotLinkedControl(True)
        if fresh and like is not None:
            node.GetSliceToRAS().DeepCopy(like.GetSliceToRAS())
            node.SetFieldOfView(*like.GetFieldOfView())
            node.SetXYZOrigin(*like.GetXYZOrigin())
            node.UpdateMatrices()
        elif fresh:
            # The plane that the image was taken in, whatever way it lies.
            node.RotateToVolumePlane(volume)
            logic.FitSliceToAll()
            # Views of a new layout get their size once Qt has its turn.
            qt.QTimer.singleShot(0, lambda: composite.GetBackgroundVolumeID() and logic.FitSliceToAll())
        return fresh

    def _overlay(self):
        for tag in (ENHANCED, WIPE):
            widget = self._manager().sliceWidget(tag)
            if widget is not None:
                composite = widget.sliceLogic().GetSliceCompositeNode()
                composite.SetForegroundVolumeID(self._map.GetID() if self._map is not None else None)
                composite.SetForegroundOpacity(self._opacity if self._map is not None else 0.0)

    @staticmethod
    def _setLegend(node, visible):
        if node is not None and node.GetScene() is not None:
            legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
            if legend is not None:
                legend.SetVisibility(visible)

    def _removeWipe(self):
        if self._wipe is not None:
            self._wipe.remove()
            self._wipe = None


class Wipe:
    """Original on one side of a border, result on the other, both as their windows show them.

    The two have windows of their own, and one volume can have but one: so this is a third, hidden volume that holds
    what is displayed, 0 to 255. Only the slice that is looked at is drawn: a stack costs no more than an image.
    """

    def __init__(self, enhancement, share=0.5):
        self._enhancement, self._share, self._follows = enhancement, share, None
        self._drawn = None
        shown = enhancement.output.shown
        shape = Volumes.arrayOf(shown).shape
        image, array = Volumes.newImage((*shape[:3], *((3,) if len(shape) == 4 else ())), np.uint8)
        array[...] = 0
        node = slicer.mrmlScene.CreateNodeByClass(shown.GetClassName())
        node.UnRegister(None)
        node.SetName(_("{name} wipe").format(name=shown.GetName()))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetAndObserveImageData(image)
        Volumes.copyGeometry(shown, node)
        self.node = slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        Volumes.setWindow(node, (0, 255))
        Volumes.mark(node, enhancement.source)

    def of(self, enhancement):
        """Whether it shows this enhancement and is still in the scene."""
        return self._enhancement is enhancement and self.node.GetScene() is not None

    def follow(self, sliceNode):
        """Draw whatever slice a view comes to."""
        self._stop()
        tag = sliceNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._moved)
        self._follows = (sliceNode, tag)
        self.redraw()

    def to(self, share):
        """Move the border: 0 all enhanced, 1 all original."""
        self._share = share
        self.redraw()

    def redraw(self):
        """Draw the present slice anew."""
        if self._follows is None or self.node.GetScene() is None or not comparable(self._enhancement):
            return
        sliceNode, _tag = self._follows
        number = sliceNumber(sliceNode, self.node)
        axis, ascending = _screenAxis(sliceNode, self.node)
        self._drawn = (number, axis, ascending)
        before = _displayed(sourceShown(self._enhancement), number)
        after = _displayed(self._enhancement.output.shown, number)
        # Original on the left of the screen, whichever way the image lies there.
        along = before.shape[1 - axis]
        border = round(self._share * along)
        picture = after.copy()
        originals = slice(0, border) if ascending else slice(along - border, along)
        line = min(max(border if ascending else along - border, 0), along - 1)
        if axis == 0:
            picture[:, originals] = before[:, originals]
        else:
            picture[originals] = before[originals]
        if 0 < border < along:
            line = slice(max(line - max(1, along // 400), 0), line)
            colour = (255, 176, 32) if picture.ndim == 3 else 255
            picture[(slice(None), line) if axis == 0 else line] = colour
        Volumes.arrayOf(self.node)[number] = picture
        Volumes.changed(self.node)

    def remove(self):
        """Take the volume out of the scene."""
        self._stop()
        if self.node.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(self.node)

    def _moved(self, sliceNode, _event):
        if self._drawn != (sliceNumber(sliceNode, self.node), *_screenAxis(sliceNode, self.node)):
            self.redraw()

    def _stop(self):
        if self._follows is not None:
            self._follows[0].RemoveObserver(self._follows[1])
            self._follows = None


def sourceShown(enhancement):
    """The volume that shows the source: itself, or for a sequence its volume in the scene."""
    from .Outputs import browserOf

    source = enhancement.source
    if source.IsA("vtkMRMLSequenceNode"):
        browser = browserOf(source)
        return browser.GetProxyNode(source) if browser is not None else source.GetNthDataNode(0)
    return source


def comparable(enhancement):
    """Whether what shows the source and the result is in the scene, with pixels of one size."""
    shown = (sourceShown(enhancement), enhancement.output.shown)
    nodes = (enhancement.source, enhancement.output.node, *shown)
    if not all(node is not None and slicer.mrmlScene.GetNodeByID(node.GetID() or "") is node for node in nodes):
        return False
    images = [node.GetImageData() for node in shown]
    if any(image is None for image in images):
        return False
    return images[0].GetDimensions() == images[1].GetDimensions()


def sliceNumber(sliceNode, volume):
    """Which slice of a volume a view shows, within the volume."""
    ijk = _toVolume(sliceNode.GetSliceToRAS(), volume).MultiplyPoint((0, 0, 0, 1))
    return min(max(round(ijk[2]), 0), volume.GetImageData().GetDimensions()[2] - 1)


def _screenAxis(sliceNode, volume):
    """Along which axis of the image (0 columns, 1 rows) a view's left to right runs, and whether upwards in number."""
    across = _toVolume(sliceNode.GetXYToRAS(), volume)
    steps = [across.GetElement(row, 0) for row in range(2)]
    axis = int(abs(steps[1]) > abs(steps[0]))
    return axis, steps[axis] > 0


def _toVolume(toRAS, volume):
    matrix, product = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetRASToIJKMatrix(matrix)
    world = volume.GetParentTransformNode()
    if world is not None:
        fromWorld = vtk.vtkMatrix4x4()
        world.GetMatrixTransformFromWorld(fromWorld)
        vtk.vtkMatrix4x4.Multiply4x4(matrix, fromWorld, product)
        matrix.DeepCopy(product)
    vtk.vtkMatrix4x4.Multiply4x4(matrix, toRAS, product)
    return product


def _displayed(volume, number):
    """One slice as its window shows it: uint8, (H, W) or (H, W, 3)."""
    pixels = Volumes.arrayOf(volume)[number]
    pixels = pixels[..., :3] if pixels.ndim == 3 else pixels
    display = volume.GetScalarVolumeDisplayNode()
    if display is None:
        # Slicer's views show nothing of it, either.
        return np.zeros_like(pixels, np.uint8)
    lowest, width = display.GetWindowLevelMin(), max(display.GetWindow(), 1e-12)
    grey = (pixels.astype(np.float32) - np.float32(lowest)) * np.float32(255 / width)
    np.clip(grey, 0, 255, out=grey)
    if Volumes.isInverted(display):
        grey = 255 - grey
    return grey.astype(np.uint8)
