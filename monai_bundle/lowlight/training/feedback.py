"""What readers preferred, as a loss: a ranking of versions by their distance from what the network itself would show.

A study holds, for each image, its original and every version that readers chose between. Readers who prefer one version
to another want the network's own result to be nearer to it: the tone path is trained so (Burges et al., Learning to
Rank using Gradient Descent, ICML 2005), beside the supervised loss, which holds it at the truth. How much noise to
leave is no matter of the tone path: for that, and for comparison with `lowlight study calibrate`, favourite strengths
(b, n) of each modality are ranked with the same loss.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from PIL import Image
from scipy.stats import permutation_test
from torch import Tensor, nn
from torch.nn import functional

from lowlight.errors import StudyError
from lowlight.imaging import atomic_path
from lowlight.model.losses import ToneLoss
from lowlight.model.network import DualPathNet, TonePath
from lowlight.model.resampling import area_resize, spline_resize
from lowlight.model.tone import tone_curve
from lowlight.study.answers import answers
from lowlight.study.studyfile import StudyFile
from lowlight.training.handlers import load_weights

logger = logging.getLogger(__name__)

LEAST_COMPARISONS = 120
"""Fewer, of all images together, train nothing that would hold for other images."""

LEAST_IMAGES = 12
"""A quarter of them is held out."""

HELD_OUT = 0.25
GRID = 32
STRENGTHS = ("brightness", "denoise")
WIDTHS = (0.25, 0.5)
"""Distance from a favourite strength (b, n) that costs one unit of utility, as for readers in general."""


class Preferences:
    """The comparisons of a study as tensors: what was chosen, what was not, and of which image.

    Attributes:
        cells, statistics, means: of each image, what the tone path sees of its original, and that one's area means
            (images, 3, grid, grid).
        versions: area means of each version of each image (images, versions, 3, grid, grid).
        strengths: (versions, 2), brightness and denoise; NaN of versions that are no enhanced ones.
        modality: (images,) index into `modalities`.
        train, held_out: (comparisons, 3) image, chosen version, other version. Images are held out whole, by the hash
            of their files.

    Args:
        study: the study file.
        tone: the tone path that sees; its weights do not matter.
        least: comparisons below which the study is refused.

    Raises:
        StudyError: too few comparisons or images; a file that cannot be used.
    """

    def __init__(self, study: str | Path, tone: TonePath, least: int = LEAST_COMPARISONS) -> None:
        with StudyFile(study) as opened:
            pairs = answers(opened).first_pairs
            images, versions = opened.images, list(opened.versions.values())
            self._check(opened, len(pairs), pairs["image"].nunique(), least)
            pictures = {image: [_tensor(opened.picture(image, one.id)) for one in versions] for image in images}
            self.simulated = opened.simulated
        order = list(images)
        seen = [tone.see(pictures[image][0][None].to(tone.middle.device)) for image in order]
        self.cells = torch.cat([cells for cells, _ in seen])
        self.statistics = torch.cat([statistics for _, statistics in seen])
        self.versions = torch.stack([torch.stack([_means(each) for each in pictures[image]]) for image in order])
        self.means = self.versions[:, 0]
        nothing = float("nan")
        self.strengths = torch.tensor(
            [[nothing if value is None else value for value in (one.brightness, one.denoise)] for one in versions]
        )
        self.modalities = sorted({image.modality for image in images.values()})
        self.modality = torch.tensor([self.modalities.index(images[image].modality) for image in order])
        place = {one.id: index for index, one in enumerate(versions)}
        ranked = sorted(order, key=lambda image: hashlib.sha256(images[image].sha256.encode()).hexdigest())
        out = set(ranked[: max(1, round(HELD_OUT * len(ranked)))])
        rows = [
            (order.index(row.image), place[row.chosen], place[row.other], row.image in out)
            for row in pairs.itertuples()
        ]
        self.train = torch.tensor([row[:3] for row in rows if not row[3]], dtype=torch.long).reshape(-1, 3)
        self.held_out = torch.tensor([row[:3] for row in rows if row[3]], dtype=torch.long).reshape(-1, 3)
        logger.info("%d comparisons train, %d are held out.", len(self.train), len(self.held_out))

    @staticmethod
    def _check(study: StudyFile, comparisons: int, images: int, least: int) -> None:
        if comparisons < least or images < LEAST_IMAGES:
            fault = f"{comparisons} comparisons of {images} images are too few to train on"
            raise StudyError(
                study.path, fault, f"at least {least} comparisons of {LEAST_IMAGES} images are needed; have more read"
            )


def read_preferences(study: str | Path, tone: TonePath, least: int = LEAST_COMPARISONS) -> Preferences:
    """As `Preferences`, for a workflow: whoever runs it reads why a study is refused, not MONAI's traceback around it.

    Raises:
        SystemExit: instead of `StudyError`, with its message.
    """
    try:
        return Preferences(study, tone, least)
    except StudyError as error:
        raise SystemExit(f"refused: {error}") from None


class FeedbackLoss(nn.Module):
    """The supervised loss of the tone path, and the ranking losses of what readers preferred.

    Args:
        supervised: loss of (toned, truth), see `ToneLoss`: the anchor.
        network: whose tone path is trained.
        preferences: the comparisons.
        ranking: weight of the ranking of versions by their distance from the network's own result.
        strength_ranking: weight of the ranking of strengths by their distance from favourites, which are parameters.
        sharpness: utility per squared distance of area means (display space): how sure readers are.
        batch_size: comparisons a call.

    Call as `ToneLoss`. `terms` holds the unweighted terms after each call.
    """

    def __init__(
        self,
        supervised: ToneLoss,
        network: DualPathNet,
        preferences: Preferences,
        ranking: float = 0.3,
        strength_ranking: float = 0.1,
        sharpness: float = 300.0,
        batch_size: int = 64,
    ) -> None:
        super().__init__()
        self.supervised, self.preferences = supervised, preferences
        self.weights = (ranking, strength_ranking)
        self.sharpness, self.batch_size = sharpness, batch_size
        self.favourites = nn.Parameter(torch.ones(len(preferences.modalities), len(STRENGTHS)))
        # Not a sub-module: the network is the trainer's, and must not be trained or moved twice.
        self._tone = [network.tone]
        self.terms: dict[str, float] = {}

    def forward(self, toned: Tensor, truth: Tensor) -> Tensor:
        """The weighted sum for a batch of area means and a random batch of comparisons."""
        loss = self.supervised(toned, truth)
        chosen = torch.randint(len(self.preferences.train), (self.batch_size,))
        comparisons = self.preferences.train[chosen]
        ranking = functional.softplus(-self.margin(self._tone[0], comparisons)).mean()
        strengths = functional.softplus(-self._strength_margin(comparisons)).mean()
        self.terms = {
            **self.supervised.terms,
            "ranking": float(ranking.detach()),
            "strength_ranking": float(strengths.detach()),
        }
        return loss + self.weights[0] * ranking + self.weights[1] * strengths

    def margin(self, tone: TonePath, comparisons: Tensor) -> Tensor:
        """By how much the chosen version is nearer to the network's own result, in units of utility: (comparisons,)."""
        kept = self.preferences
        images, place = comparisons[:, 0].unique(return_inverse=True)
        maps = spline_resize(tone.decide(kept.cells[images], kept.statistics[images]), (GRID, GRID))
        own = tone_curve(kept.means[images], maps[:, :1], maps[:, 1:]).clamp(0, 1)[place]
        distances = [
            (kept.versions[comparisons[:, 0], comparisons[:, side]] - own).square().mean((1, 2, 3)) for side in (1, 2)
        ]
        return self.sharpness * (distances[1] - distances[0])

    def _strength_margin(self, comparisons: Tensor) -> Tensor:
        kept = self.preferences
        favourites = self.favourites[kept.modality[comparisons[:, 0]]]
        widths = favourites.new_tensor(WIDTHS)
        costs = [(((kept.strengths[comparisons[:, side]] - favourites) / widths) ** 2).sum(1) for side in (1, 2)]
        return torch.nan_to_num(costs[1] - costs[0], nan=0.0)

    def favourite_strengths(self) -> dict[str, dict[str, float]]:
        """The favourite strengths found, relative to the network that made the study's versions."""
        largest = (1.5, 1.0)
        return {
            modality: {
                name: round(min(max(float(value), 0.0), bound), 3)
                for name, value, bound in zip(STRENGTHS, row, largest, strict=True)
            }
            for modality, row in zip(self.preferences.modalities, self.favourites.detach(), strict=True)
        }


class Agreement:
    """How often the network agrees with held-out answers, before and after; written to a file at the end.

    The network agrees where the version that was preferred is the nearer one to its own result. The p value is that of
    a permutation test on the change of agreement of each held-out image, one-sided: answers about one image, which
    several readers gave, are not taken for independent.

    Args:
        loss: knows the comparisons.
        network: what is trained.
        initial_weights: of the network before; None: as it is when training starts.
        after: the network that is judged at the end: the moving average.
        file: JSON: held_out, before, after, p, favourite_strengths, simulated, validation and validation_before.
        evaluator: whose metrics are told besides, before (unless the training goes on from a checkpoint) and after;
            None: none.
    """

    def __init__(
        self,
        loss: FeedbackLoss,
        network: DualPathNet,
        after: nn.Module,
        file: str | Path,
        initial_weights: str | Path | None = None,
        evaluator: Any = None,
    ) -> None:
        self.loss, self.network, self.after, self.file = loss, network, after, Path(file)
        self.initial_weights, self.evaluator = initial_weights, evaluator
        self.right: Tensor | None = None
        self.validation_before: dict[str, float] = {}

    def attach(self, engine: Engine) -> None:
        """Judge when training starts, and when it ends."""
        engine.add_event_handler(Events.STARTED, self._remember)
        engine.add_event_handler(Events.COMPLETED, self._report)

    def _remember(self, engine: Engine) -> None:
        before = copy.deepcopy(self.network)
        if self.initial_weights is not None:
            load_weights(before, self.initial_weights)
        self.right = self._agrees(before)
        if self.evaluator is not None and engine.state.epoch == 0:
            self.evaluator.run()
            self.validation_before = self._validation()

    def _validation(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.evaluator.state.metrics.items()}

    @torch.no_grad()
    def _agrees(self, network: nn.Module) -> Tensor:
        tone = network.tone
        assert isinstance(tone, TonePath)
        was, _ = tone.training, tone.eval()
        agreed = self.loss.margin(tone, self.loss.preferences.held_out) > 0
        tone.train(was)
        return agreed

    def _report(self, engine: Engine) -> None:
        assert self.right is not None
        now = self._agrees(self.after)
        p = _sign_flip_p(now.float() - self.right.float(), self.loss.preferences.held_out[:, 0])
        content: dict[str, Any] = {
            "held_out": len(now),
            "before": round(float(self.right.float().mean()), 4),
            "after": round(float(now.float().mean()), 4),
            "p": p,
            "simulated": self.loss.preferences.simulated,
            "favourite_strengths": self.loss.favourite_strengths(),
        }
        if self.evaluator is not None:
            content |= {"validation": self._validation(), "validation_before": self.validation_before}
        with atomic_path(self.file) as temporary:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        logger.info(
            "%sHeld-out answers agreed with: %.1f %% before, %.1f %% after (of %d; p %.2g).",
            "SIMULATION: " if content["simulated"] else "",
            100 * content["before"],
            100 * content["after"],
            content["held_out"],
            p,
        )


def _sign_flip_p(change: Tensor, image: Tensor) -> float:
    """One-sided p value of no improvement: how often the mean change is as large if images change sign at random."""
    images, place = image.unique(return_inverse=True)
    sums = torch.zeros(len(images)).index_add(0, place, change).numpy()
    tested = permutation_test(
        (sums,), np.mean, permutation_type="samples", alternative="greater", n_resamples=9999, rng=1
    )
    return float(tested.pvalue)


def _tensor(png: bytes) -> Tensor:
    """A picture as (3, H, W) float32, black 0 and white 1."""
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    scaled = torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max)
    return scaled.expand(3, *scaled.shape).contiguous() if scaled.ndim == 2 else scaled.permute(2, 0, 1).contiguous()


def _means(picture: Tensor) -> Tensor:
    return area_resize(picture[None], (GRID, GRID))[0]
