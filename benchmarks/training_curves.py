"""Draw how a training went, from the TensorBoard events that it left: one picture, its stages side by side.

    python benchmarks/training_curves.py runs/tone runs/denoise -o curves.png
    python benchmarks/training_curves.py "tone path=runs/tone" "denoise path=runs/denoise" -o curves.png

From top to bottom: the loss that was trained on, its terms, PSNR and SSIM on validation. A run that was killed and
resumed is one curve. Every stage is as wide as its share of all epochs; validation has the same scale in all.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.text import Annotation as Text
from matplotlib.ticker import MaxNLocator

INK, FAINT, GRID = "#22262b", "#8a929c", "#e6e9ed"
SHADES = {"all": INK, "light": "#e0a100", "medium": "#d1495b", "heavy": "#3d5a98"}
TERMS = ("#3d5a98", "#d1495b", "#2a9d8f", "#e0a100", "#7b5ea7", "#8c6d46", "#5f6b76", "#b0588f", "#e36f1e", "#7aa5d2")
ROWS = (("loss", 1.1), ("terms", 1.3), ("psnr", 1.6), ("ssim", 1.3))
"""Panels from top to bottom, and their relative heights."""

LINE = 11.0
"""Distance in points of two names of curves."""

LEAST_WIDTH = 0.28
"""Share of the widest stage that the narrowest gets at least: its labels need room."""


@dataclass(frozen=True)
class Stage:
    """One run: name, epochs per iteration, and its scalars, tag -> (points, 2) of step and value."""

    name: str
    epochs_per_iteration: float
    scalars: dict[str, np.ndarray]

    @property
    def epochs(self) -> float:
        """The last epoch of which anything is known."""
        ends = [self.loss[-1, 0]] if len(self.loss) else []
        return max([*ends, *(points[-1, 0] for tag, points in self.scalars.items() if tag != "train_loss")])

    @property
    def loss(self) -> np.ndarray:
        """The training loss by epoch, (points, 2)."""
        points = self.scalars.get("train_loss", np.zeros((0, 2)))
        return points * (self.epochs_per_iteration, 1.0)

    @property
    def terms(self) -> dict[str, np.ndarray]:
        """The terms of the loss by name."""
        found = {tag: points for tag, points in self.scalars.items() if tag.startswith("loss_")}
        return {tag.removeprefix("loss_").replace("_", " "): points for tag, points in found.items()}

    def validation(self, measure: str) -> dict[str, np.ndarray]:
        """A measure on validation, over all images and by severity."""
        tags = {"all": f"val_{measure}", **{name: f"{measure}_{name}" for name in SHADES if name != "all"}}
        return {name: self.scalars[tag] for name, tag in tags.items() if tag in self.scalars}


def read_run(folder: Path, name: str) -> Stage:
    """The scalars of a run, of all its event files together.

    A run that was killed goes on from its last checkpoint: what it had done after that is done again, and the later
    points count.

    Raises:
        FileNotFoundError: the folder holds no events of a training.
    """
    files = [
        EventAccumulator(str(file), size_guidance={"scalars": 0}).Reload()
        for file in folder.glob("events.out.tfevents.*")
    ]
    # A file that a killed run left behind may hold no event at all.
    found = sorted((events for events in files if events.Tags()["scalars"]), key=_first_time)
    scalars: dict[str, np.ndarray] = {}
    for events in found:
        for tag in events.Tags()["scalars"]:
            points = np.array([(event.step, event.value) for event in events.Scalars(tag)], float)
            before = scalars.get(tag, np.zeros((0, 2)))
            scalars[tag] = np.concatenate([before[before[:, 0] < points[0, 0]], points])
    if not scalars:
        raise FileNotFoundError(f"{folder}: no events of a training in it; name the output_dir of one")
    return Stage(name, _epochs_per_iteration(found), scalars)


def _first_time(events: EventAccumulator) -> float:
    return min(events.Scalars(tag)[0].wall_time for tag in events.Tags()["scalars"])


def _epochs_per_iteration(runs: list[EventAccumulator]) -> float:
    """The trainer counts its loss by iterations and the terms by epochs: what it had done when it last wrote both."""
    for events in reversed(runs):
        tags = events.Tags()["scalars"]
        terms = [tag for tag in tags if tag.startswith("loss_")]
        if terms and "train_loss" in tags:
            last = events.Scalars(terms[0])[-1]
            done = [event.step for event in events.Scalars("train_loss") if event.wall_time <= last.wall_time]
            return float(last.step / done[-1])
    return 1.0


def smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """Mean of the up to `width` values around each."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    starts, ends = np.maximum(places - width // 2, 0), np.minimum(places + width // 2 + 1, len(values))
    return (sums[ends] - sums[starts]) / (ends - starts)


def draw(stages: list[Stage], file: Path) -> None:
    """Write the picture, PNG."""
    longest = max(stage.epochs for stage in stages)
    widths = [max(stage.epochs, LEAST_WIDTH * longest) for stage in stages]
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": FAINT, "text.color": INK})
    figure, grid = plt.subplots(
        len(ROWS),
        len(stages),
        figsize=(4.4 + 4.2 * sum(widths) / longest, 9.6),
        squeeze=False,
        gridspec_kw={"width_ratios": widths, "height_ratios": [height for _, height in ROWS]},
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
    for column, stage in enumerate(stages):
        _draw_loss(grid[0, column], stage)
        _draw_terms(grid[1, column], stage)
        for row, measure in ((2, "psnr"), (3, "ssim")):
            _draw_validation(grid[row, column], stage, measure)
        grid[0, column].set_title(f"{stage.name}  ({stage.epochs:.0f} epochs)", loc="left", fontweight="bold", pad=10)
        grid[-1, column].set_xlabel("epoch", color=FAINT)
    for row in (2, 3):
        _share_scale(list(grid[row]))
    titles = ("training loss", "its terms,\n0 = lowest, 1 = highest", "validation PSNR, dB", "validation SSIM")
    for axes, title in zip(grid[:, 0], titles, strict=True):
        axes.set_ylabel(title, color=INK)
    figure.savefig(file, dpi=130, facecolor="white")
    plt.close(figure)


def _draw_loss(axes: Axes, stage: Stage) -> None:
    _prepare(axes, stage)
    epochs, values = stage.loss.T
    if not len(values):
        return
    mean = smoothed(values, max(3, len(values) // 40))
    axes.plot(epochs, values, color=FAINT, linewidth=0.5, alpha=0.35)
    axes.plot(epochs, mean, color=INK, linewidth=1.6)
    # The first iterations of a fresh network would flatten all that follows.
    low, high = np.percentile(values, (0.5, 99))
    axes.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    _label(axes, [(epochs[-1], mean[-1], f"{mean[-1]:.3g}", INK)])


def _draw_terms(axes: Axes, stage: Stage) -> None:
    _prepare(axes, stage)
    labels = []
    for (name, points), colour in zip(stage.terms.items(), TERMS, strict=False):
        epochs, values = points.T
        reach = np.ptp(values)
        share = (values - values.min()) / reach if reach else np.ones_like(values)
        axes.plot(epochs, share, color=colour, linewidth=1.4, marker="o", markersize=2.2)
        labels.append((epochs[-1], share[-1], f"{name}  {values[0]:.2g} → {values[-1]:.2g}", colour))
    axes.set_ylim(-0.12, 1.12)
    _label(axes, labels)


def _draw_validation(axes: Axes, stage: Stage, measure: str) -> None:
    _prepare(axes, stage)
    form = "{:.2f}" if measure == "psnr" else "{:.3f}"
    labels = []
    for name, points in stage.validation(measure).items():
        epochs, values = points.T
        bold = name == "all"
        axes.plot(
            epochs,
            values,
            color=SHADES[name],
            linewidth=2.0 if bold else 1.1,
            marker="o",
            markersize=4 if bold else 2.5,
        )
        labels.append((epochs[-1], values[-1], f"{name}  {form.format(values[-1])}", SHADES[name]))
        if bold and values.argmax() != len(values) - 1:
            best = int(values.argmax())
            axes.annotate(
                f"best {form.format(values[best])}", (epochs[best], values[best]), (0, 7), ha="center", fontsize=8,
                textcoords="offset points", color=INK,
            )  # fmt: skip
    axes.margins(y=0.12)
    _label(axes, labels)


def _prepare(axes: Axes, stage: Stage) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelsize=8, length=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_xlim(0, 1.015 * stage.epochs)


def _share_scale(panels: list[Axes]) -> None:
    limits = [panel.get_ylim() for panel in panels if panel.lines]
    if not limits:
        return
    for panel in panels:
        panel.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        _spread(panel)


def _label(axes: Axes, labels: list[tuple[float, float, str, str]]) -> None:
    """Name each curve at its end, right of the panel."""
    for _, value, text, colour in labels:
        axes.annotate(
            text, (1, value), (8, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points", color=colour,
            va="center", fontsize=8, annotation_clip=False,
        )  # fmt: skip
    _spread(axes)


def _spread(axes: Axes) -> None:
    """Move the names of curves that end close together apart, keeping their order and their middle."""
    names = [text for text in axes.texts if text.get_position()[0] == 8]  # those of `_label`
    low, high = axes.get_ylim()
    height = axes.get_position().height * axes.figure.get_figheight() * 72
    wanted = {text: (text.xy[1] - low) / (high - low) * height for text in names}
    stacks: list[list[Text]] = []
    for text in sorted(names, key=lambda text: wanted[text]):
        stacks.append([text])
        while len(stacks) > 1 and _bottom(stacks[-1], wanted) < _bottom(stacks[-2], wanted) + LINE * len(stacks[-2]):
            upper = stacks.pop()
            stacks[-1] += upper
    for stack in stacks:
        for index, text in enumerate(stack):
            text.set_position((8, _bottom(stack, wanted) + LINE * index - wanted[text]))


def _bottom(stack: list[Text], wanted: dict[Text, float]) -> float:
    """Height of the lowest of names that stand line over line around the middle of where they should, in the panel."""
    return max(0.0, sum(wanted[text] for text in stack) / len(stack) - LINE * (len(stack) - 1) / 2)


def main() -> None:
    """Read the runs and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "runs", nargs="+", metavar="[NAME=]RUN", help="output_dir of a training, in order of the stages"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the picture, PNG")
    arguments = parser.parse_args()
    stages = []
    for run in arguments.runs:
        name, _, folder = run.rpartition("=")
        try:
            stages.append(read_run(Path(folder), name or Path(folder).resolve().name))
        except FileNotFoundError as error:
            parser.error(str(error))
    draw(stages, arguments.output)
    print(f"{arguments.output}: {', '.join(f'{stage.name} {stage.epochs:.0f} epochs' for stage in stages)}")


if __name__ == "__main__":
    main()
