"""Volume nodes as arrays and back. Nothing here ever writes to a node that was not made by this module."""

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from . import Dicom
from .Problems import Problem

SOURCE = "LowLightEnhance.Source"
"""Role of the node reference from what this module made to the image that it was made from."""

MADE = "LowLightEnhance.Made"
"""Attribute of what this module made: it outlives the image that it was made from."""

NEARLY_BLACK = 0.1
"""A result of which next to nothing is brighter than this, 1 = black to white, shows nobody anything."""

RANGES = ("automatic", "window", "type")
"""What is black and white: chosen by the kind of image; as the display's window says; the pixel type's whole range."""


@dataclass
class Picture:
    """The pixels of a node as the worker takes them.

    Attributes:
        node: a volume node, or a sequence of single-slice volumes.
        array: (H, W), (H, W, 3), and with `frames` (N, H, W) or (N, H, W, 3); a view of the node's memory where it can
            be, never to be written to.
        frames: the first axis is slices or time.
        alpha: opacity of the same shape without colours, which goes along unchanged; None: there is none.
        shown: the volume whose display counts: the node itself, or the first of the sequence.
    """

    node: Any
    array: np.ndarray
    frames: bool
    alpha: Optional[np.ndarray]
    shown: Any


def pictureOf(node):
    """A node's pixels.

    Raises:
        Problem: there is no image, or it is of a kind that cannot be enhanced.
    """
    if node is None:
        raise Problem("no-image", _("No image is chosen."), _("Load one, or press “Try a sample image”."))
    if node.IsA("vtkMRMLSequenceNode"):
        return _ofSequence(node)
    array = _checkedArray(node)
    frames = len(array) > 1
    array, alpha = _withoutAlpha(array)
    if not frames:
        array, alpha = array[0], None if alpha is None else alpha[0]
    return Picture(node, array, frames, alpha, node)


def isEnhanced(node):
    """Whether this module made the node: results, maps and wipes are no inputs."""
    return node.GetAttribute(MADE) is not None or node.GetNodeReferenceID(SOURCE) is not None


def mark(node, source):
    """Say that this module made a node from a source."""
    node.SetAttribute(MADE, "1")
    node.SetNodeReferenceID(SOURCE, source.GetID())


def sourceOf(node):
    """The node that a result or a map was made from; None: it is no longer there."""
    return node.GetNodeReference(SOURCE)


def valueRange(picture, choice="automatic"):
    """(black, white) in units of the pixels, or None: the range of the pixel type ([0, 1] is never guessed).

    Automatic is, for 8 bit and colour, the pixel type's; else the window that the file or the user has set; else what
    DICOM says of the bits that are in use; else, for whole numbers without sign, the pixel type's. Numbers with a sign
    or a fraction have no range of their own that means anything: they are taken as they are displayed.
    """
    display = picture.shown.GetScalarVolumeDisplayNode()
    whole = np.issubdtype(picture.array.dtype, np.integer)
    eightBitOrColour = whole and (
        picture.array.dtype.itemsize == 1 or picture.array.ndim == (4 if picture.frames else 3)
    )
    limits = np.iinfo(picture.array.dtype) if whole else None
    typeRange = (limits.min, limits.max) if whole else None
    window = (display.GetWindowLevelMin(), display.GetWindowLevelMax()) if display is not None else None
    windowIsSet = display is not None and not display.GetAutoWindowLevel()
    if choice == "window":
        found = window
    elif choice == "type" or eightBitOrColour:
        found = typeRange
    elif windowIsSet:
        found = window
    else:
        unsigned = typeRange if whole and limits.min == 0 else None
        found = Dicom.usedRange(picture.shown) or unsigned or window
    if found is None or not found[1] > found[0]:
        return None
    black, white = found
    if isInverted(display):
        # MONOCHROME1: the larger number is the darker one.
        black, white = white, black
    return float(black), float(white)


def isNearlyBlack(array, limits):
    """Whether an image (N, H, W[, C]) is, but for half a percent, below `NEARLY_BLACK` of (black, white)."""
    black, white = limits
    step = max(1, min(array.shape[1:3]) // 256)
    sample = array[:: max(1, len(array) // 8), ::step, ::step].astype(np.float64)
    return bool(np.percentile((sample - black) / (white - black), 99.5) < NEARLY_BLACK)


def isInverted(display):
    """Whether a display shows larger numbers darker, as Slicer does with MONOCHROME1."""
    colours = display.GetColorNode() if display is not None else None
    return colours is not None and colours.GetTypeAsString() == "InvertedGrey"


def newTarget(picture):
    """Image data of the picture's size and type for a result, with the array that fills it: (vtkImageData, array)."""
    frames = len(picture.array) if picture.frames else 1
    shape = picture.array.shape[1:] if picture.frames else picture.array.shape
    return newImage((frames, *shape), picture.array.dtype, alpha=picture.alpha)


def newImage(shape, dtype, alpha=None):
    """Image data for an array (N, H, W) or (N, H, W, C): (vtkImageData, array); with `alpha` a channel more."""
    frames, height, width, *channels = shape
    count = (channels[0] if channels else 1) + (alpha is not None)
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, frames)
    image.AllocateScalars(get_vtk_array_type(np.dtype(dtype)), count)
    array = vtk_to_numpy(image.GetPointData().GetScalars())
    array = array.reshape((frames, height, width, count) if channels else (frames, height, width))
    if alpha is not None:
        array[..., -1] = alpha
        array = array[..., :-1]
    return image, array


def addResult(picture, image, name, limits):
    """A new volume beside the source, with its geometry, its display, and a window that fits the new values."""
    node = slicer.mrmlScene.CreateNodeByClass(picture.shown.GetClassName())
    node.UnRegister(None)
    node.SetName(slicer.mrmlScene.GenerateUniqueName(name))
    copyGeometry(picture.shown, node)
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    copyDisplay(picture.shown, node, limits)
    # The pixels come last: a display without its window would look for one through all of them.
    node.SetAndObserveImageData(image)
    mark(node, picture.node)
    placeBeside(picture.node, node)
    return node


def copyGeometry(source, target):
    """Position, spacing, directions and parent transform."""
    target.CopyOrientation(source)
    target.SetAndObserveTransformNodeID(source.GetTransformNodeID())


def copyDisplay(source, target, limits):
    """Colours, interpolation and the like, with a window that fits the new values."""
    display = source.GetScalarVolumeDisplayNode()
    if display is not None:
        target.GetDisplayNode().CopyContent(display)
        if display.GetColorNodeID():
            target.GetDisplayNode().SetAndObserveColorNodeID(display.GetColorNodeID())
    setWindow(target, limits)


def setWindow(node, limits):
    """Show everything between black and white."""
    display = node.GetScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(min(limits), max(limits))


def placeBeside(source, node):
    """Under the same parent in the subject hierarchy: the study of the source, or its folder."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parent = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(source))
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), parent)


def arrayOf(node):
    """A view of a volume's pixels: (N, H, W) or (N, H, W, C)."""
    image = node.GetImageData()
    width, height, frames = image.GetDimensions()
    array = vtk_to_numpy(image.GetPointData().GetScalars())
    components = image.GetNumberOfScalarComponents()
    return array.reshape((frames, height, width) if components == 1 else (frames, height, width, components))


def changed(node):
    """Tell Slicer that pixels of a node of ours have changed."""
    node.GetImageData().GetPointData().GetScalars().Modified()
    node.GetImageData().Modified()
    node.StorableModified()
    node.Modified()
    node.InvokeEvent(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, node)


def _checkedArray(node):
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise Problem(
            "label-map",
            _("“{name}” is a label map: its numbers name structures, they are no brightness.").format(
                name=node.GetName()
            ),
            _("Choose the image that it belongs to."),
        )
    if node.GetClassName() not in ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode"):
        raise Problem(
            "not-an-image",
            _("“{name}” is no grey or colour image.").format(name=node.GetName()),
            _("Choose a scalar or a colour volume."),
        )
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None or not min(image.GetDimensions()) > 0:
        raise Problem(
            "not-an-image", _("“{name}” holds no pixels.").format(name=node.GetName()), _("Load the image again.")
        )
    array = arrayOf(node)
    if array.ndim == 4 and array.shape[-1] not in (3, 4):
        raise Problem(
            "not-an-image",
            _("“{name}” has {count} values a pixel; images have 1 (grey) or 3 (colour).").format(
                name=node.GetName(), count=array.shape[-1]
            ),
            _("Choose another image."),
        )
    return array


def _withoutAlpha(array):
    return (array[..., :3], array[..., 3]) if array.ndim == 4 and array.shape[-1] == 4 else (array, None)


def _ofSequence(node):
    count = node.GetNumberOfDataNodes()
    items = [node.GetNthDataNode(index) for index in range(count)]
    if not items or not all(item is not None and item.IsA("vtkMRMLScalarVolumeNode") for item in items):
        raise Problem(
            "not-an-image",
            _("The sequence “{name}” holds no images.").format(name=node.GetName()),
            _("Choose a sequence of images, or a single image."),
        )
    arrays = [_checkedArray(item) for item in items]
    if any(len(array) > 1 for array in arrays):
        raise Problem(
            "not-an-image",
            _("“{name}” is a sequence of stacks (4D).").format(name=node.GetName()),
            _("Go to one time point with the sequence browser, and choose that volume."),
        )
    if len({(array.shape, array.dtype) for array in arrays}) > 1:
        raise Problem(
            "not-an-image",
            _("The images of the sequence “{name}” differ in size or type.").format(name=node.GetName()),
            _("Enhance them one by one."),
        )
    array, alpha = _withoutAlpha(np.concatenate(arrays))
    return Picture(node, array, True, alpha, items[0])
