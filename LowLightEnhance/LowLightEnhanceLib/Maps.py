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
        _("The error that the network expects of itself at full strength, in percent of black to white."),
        "%",
        100.0,
        lambda value: f"{value:.0f} %" if value >= 10 else f"{value:.1f} %",
    ),
}


def show(worker, enhancement, kind, shown, failed):
    """Make the volume of a map for the picture as it is now, or take the one that is there, and call `shown(node)`."""
    # What the network expects of itself is of the full strength, wherever the sliders are.
    strengths = (1.0, 1.0) if kind == "uncertainty" else enhancement.present
    node = enhancement.maps.get(kind)
    if _inScene(node) and node.GetAttribute(_STRENGTHS) == _text(strengths):
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

        def filled():
            _running.discard(steps)
            if _inScene(enhancement.output.node):
                shown(_put(enhancement, kind, image, target, strengths))

        def notRead(error):
            _running.discard(steps)
            failed(Problem("internal", _("The map could not be read: {reason}.").format(reason=error)))

        steps = Steps(_fill(path, kind, target), filled, notRead)
        _running.add(steps)

    fields = {"result": enhancement.result, "maps": [kind], "brightness": strengths[0], "denoise": strengths[1]}
    worker.request("maps", fields, answered, failed)


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


_running = set()
"""What reads maps at present."""

_STRENGTHS = "LowLightEnhance.Strengths"
"""Attribute of a map: brightness and denoising of the picture that it belongs to."""


def _text(strengths):
    return " ".join(f"{strength:g}" for strength in strengths)


def _inScene(node):
    return node is not None and slicer.mrmlScene.GetNodeByID(node.GetID() or "") is node


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


def _put(enhancement, kind, image, target, strengths):
    """The map's volume with these pixels, made or brought up to them."""
    node = enhancement.maps.get(kind)
    lowest, highest = _scale(kind, target)
    if _inScene(node):
        node.SetAndObserveImageData(image)
        # Colours that were stretched to what is left would show half the change as strongly as all of it.
        before = limits(node)
        lowest, highest = min(lowest, before[0]), max(highest, before[1])
    else:
        node = enhancement.maps[kind] = _added(enhancement, kind, image)
    Volumes.setWindow(node, (lowest, highest))
    node.SetAttribute(_STRENGTHS, _text(strengths))
    return node


def _scale(kind, target):
    """(lowest, highest) value that the colours stand for."""
    # A sample says enough, and does not keep the window waiting.
    sample = target[:: max(1, len(target) // 8), ::4, ::4]
    highest = float(np.percentile(np.abs(sample), 99.5))
    lowest = -highest if KINDS[kind].signed else 1.0 if kind == "gain" else 0.0
    return lowest, max(highest, lowest + 1e-3)


def _added(enhancement, kind, image):
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
    Volumes.mark(node, enhancement.source)
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
