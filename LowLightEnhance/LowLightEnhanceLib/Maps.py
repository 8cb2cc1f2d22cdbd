"""Maps of what was changed and of how sure the network is, as volumes with a colour table and a legend."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import slicer
from slicer.i18n import tr as _

from . import Volumes
from .Blending import alive, gone

_COLOURS = 256


@dataclass(frozen=True)
class Kind:
    """A kind of map.

    Attributes:
        name: for people. anchors: colours from the lowest to the highest value, as (r, g, b) in [0, 1].
        signed: zero lies in the middle. explain: (lowest, highest) -> what the colours say. unit: of the legend.
        scale: from the worker's numbers to those shown.
    """

    name: str
    anchors: tuple
    signed: bool
    explain: str
    unit: str
    scale: float
    format: Callable[[float], str]


KINDS = {
    "gain": Kind(
        _("Gain"),
        ((0.05, 0.08, 0.25), (0.10, 0.40, 0.55), (0.35, 0.70, 0.45), (0.98, 0.92, 0.35)),
        False,
        _("How many times brighter mid grey was made; 1 is unchanged."),
        "×",
        1.0,
        lambda value: f"×{value:.1f}",
    ),
    "residual": Kind(
        _("Noise removed"),
        ((0.15, 0.35, 0.90), (0.10, 0.15, 0.35), (0.05, 0.05, 0.05), (0.40, 0.15, 0.10), (0.95, 0.45, 0.15)),
        True,
        _("What denoising made darker (blue) or brighter (orange), in percent of black to white."),
        "%",
        100.0,
        lambda value: f"{value:+.0f} %" if abs(value) >= 0.5 else "0 %",
    ),
    "uncertainty": Kind(
        _("Uncertainty"),
        ((0.05, 0.05, 0.10), (0.35, 0.10, 0.40), (0.85, 0.30, 0.25), (1.00, 0.85, 0.60)),
        False,
        _("The error that the network expects of itself, in percent of black to white."),
        "%",
        100.0,
        lambda value: f"{value:.0f} %" if value >= 10 else f"{value:.1f} %",
    ),
}


def show(worker, enhancement, kind, shown, failed):
    """Make the volume of a map, or take the one that is there, and call `shown(node)`."""
    node = enhancement.maps.get(kind)
    if node is not None and slicer.mrmlScene.GetNodeByID(node.GetID() or "") is node:
        shown(node)
        return
    if not alive(worker, enhancement):
        failed(gone())
        return

    def answered(message):
        path = worker.folder / message["maps"][kind]
        array = np.load(path, allow_pickle=False)
        path.unlink()
        enhancement.maps[kind] = _added(enhancement, kind, array)
        shown(enhancement.maps[kind])

    worker.request("maps", {"result": enhancement.result, "maps": [kind]}, answered, failed)


def limits(node):
    """(lowest, highest) of the colours of a map."""
    display = node.GetDisplayNode()
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def gradient(kind):
    """The colours of a kind of map, (256, 3) uint8, lowest first."""
    anchors = np.asarray(KINDS[kind].anchors)
    places = np.linspace(0, len(anchors) - 1, _COLOURS)
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, -1) * 255).astype(np.uint8)


def _added(enhancement, kind, array):
    """A map as a volume of its own, in the geometry of the result."""
    described = KINDS[kind]
    output = enhancement.output
    # A residual has the image's colours; one number a pixel is what a colour scale can show.
    colours = kind == "residual" and array.ndim == (4 if output.frames > 1 else 3)
    array = array.mean(-1, dtype=np.float32) if colours else array
    array = np.nan_to_num(array) * np.float32(described.scale)
    image, target = Volumes.newImage((output.frames, *array.shape[-2:]), np.float32)
    target[...] = array if array.ndim == 3 else array[None]
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetName(slicer.mrmlScene.GenerateUniqueName(f"{enhancement.source.GetName()} {described.name.lower()}"))
    node.SetAndObserveImageData(image)
    Volumes.copyGeometry(output.shown, node)
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAndObserveColorNodeID(_colourTable(kind).GetID())
    highest = float(np.percentile(np.abs(target), 99.5))
    lowest = -highest if described.signed else 1.0 if kind == "gain" else 0.0
    Volumes.setWindow(node, (lowest, max(highest, lowest + 1e-3)))
    node.SetNodeReferenceID(Volumes.SOURCE, enhancement.source.GetID())
    Volumes.placeBeside(enhancement.source, node)
    _addLegend(node, kind)
    return node


def _colourTable(kind):
    """The colour node of a kind of map, made once a scene."""
    tag = f"LowLightEnhance-{kind}"
    table = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLColorTableNode")
    if table is None:
        table = slicer.vtkMRMLColorTableNode()
        table.SetSingletonTag(tag)
        table.SetName(tag)
        table.SetTypeToUser()
        table.SetNumberOfColors(_COLOURS)
        table.SetHideFromEditors(True)
        for index, (red, green, blue) in enumerate(gradient(kind) / 255):
            table.SetColor(index, str(index), red, green, blue, 1.0)
        table.GetLookupTable().SetRange(0, _COLOURS - 1)
        table = slicer.mrmlScene.AddNode(table)
    return table


def _addLegend(node, kind):
    """The legend in the views."""
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(node)
    if legend is not None:
        legend.SetTitleText(f"{KINDS[kind].name} ({KINDS[kind].unit})")
        legend.SetLabelFormat("%.1f")
        legend.SetNumberOfLabels(3)
        legend.SetVisibility(False)
