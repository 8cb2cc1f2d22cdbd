"""Maps of what was changed and of how sure the network is, as volumes with a colour table and a legend."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import slicer
from slicer.i18n import tr as _

from . import Volumes
from .Blending import alive, gone
from .Problems import Problem
from .Steps import Steps

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
        frames = enhancement.output.frames
        shape = Volumes.arrayOf(enhancement.output.shown).shape[1:3]
        image, target = Volumes.newImage((frames, *shape), np.float32)

        def added():
            _running.pop(enhancement.result, None)
            output = enhancement.output.node
            if slicer.mrmlScene.GetNodeByID(output.GetID() or "") is not output:
                return
            enhancement.maps[kind] = _added(enhancement, kind, image, target)
            shown(enhancement.maps[kind])

        def notRead(error):
            _running.pop(enhancement.result, None)
            failed(Problem("internal", _("The map could not be read: {reason}.").format(reason=error)))

        _running[enhancement.result] = Steps(_fill(path, kind, target), added, notRead)

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


_running = {}
"""What reads a map, by the name of its result."""


def _fill(path, kind, target):
    """Generator: copy a map into its volume, slice by slice; remove its file."""
    source = np.load(path, mmap_mode="r", allow_pickle=False)
    stack = source if len(target) > 1 else source[None]
    try:
        for index in range(len(target)):
            # A residual has the image's colours; one number a pixel is what a colour scale can show.
            plane = stack[index].mean(-1, dtype=np.float32) if stack[index].ndim == 3 else stack[index]
            np.multiply(np.nan_to_num(plane), np.float32(KINDS[kind].scale), out=target[index])
            yield
    finally:
        del source, stack
        path.unlink()


def _added(enhancement, kind, image, target):
    """A map as a volume of its own, in the geometry of the result."""
    described, output = KINDS[kind], enhancement.output
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetName(slicer.mrmlScene.GenerateUniqueName(f"{enhancement.source.GetName()} {described.name.lower()}"))
    node.SetAndObserveImageData(image)
    Volumes.copyGeometry(output.shown, node)
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAndObserveColorNodeID(_colourTable(kind).GetID())
    # A sample says enough, and does not keep the window waiting.
    sample = target[:: max(1, len(target) // 8), ::4, ::4]
    highest = float(np.percentile(np.abs(sample), 99.5))
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
