"""What `lowlight enhance` does to each image, for any process that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lowlight.batch.doing import Outcome, Work
from lowlight.batch.text import described
from lowlight.bundle import BFLOAT16, DEFAULT_SIZE
from lowlight.imaging import Found, MedicalImage
from lowlight.imaging.label import burn_label
from lowlight.imaging.processing import Processing

if TYPE_CHECKING:
    from lowlight import Enhancer
    from lowlight.enhance import Result
    from lowlight.enhance.settings import Settings


@dataclass(frozen=True)
class Wishes:
    """What a user asks of the enhancement. Can be sent to other processes.

    Attributes:
        brightness, denoise, modality, force, device, max_memory, size, engine: as `lowlight.Enhancer` takes them.
        label: burn a visible mark into what was enhanced.
        reports: have what was done told to programs, which takes time.
        pictures: have cards drawn for a page of so many images; None: no page.
    """

    brightness: float | None = None
    denoise: float | None = None
    modality: str | None = None
    force: bool = False
    label: bool = False
    device: str = "auto"
    max_memory: int | None = None
    reports: bool = False
    pictures: int | None = None
    size: str = DEFAULT_SIZE
    engine: str = "auto"

    @property
    def recorded(self) -> dict[str, str]:
        """What is recorded in derived files, and decides with the model which of them form a series."""
        named: dict[str, object] = {"brightness": self.brightness, "denoise": self.denoise}
        named |= {"force": self.force or None, "label": self.label or None}
        named |= {"size": None if self.size == DEFAULT_SIZE else self.size}
        named |= {"precision": "bfloat16" if self.engine == BFLOAT16 else None}
        return {name: str(value) for name, value in named.items() if value is not None}


class ImageEnhancer:
    """The engine, loaded, with what is asked of it.

    Args:
        wishes: what is asked. settings: the user's, if this process may not have them; see `lowlight.Enhancer`.
        enhancer: the engine, if it has been loaded already, from `wishes` and `settings`.

    Attributes:
        enhancer: the engine.
        outdated: modalities whose settings were found with other weights and do not count.

    Raises:
        BundleError, DependencyError, InputError: as `lowlight.Enhancer`.
    """

    def __init__(self, wishes: Wishes, settings: Settings | None = None, enhancer: Enhancer | None = None) -> None:
        from lowlight import Enhancer

        self._wishes = wishes
        self.enhancer = enhancer or Enhancer(
            device=wishes.device,
            engine=wishes.engine,
            max_memory=wishes.max_memory,
            settings=settings,
            size=wishes.size,
        )
        self.outdated = [
            f"settings for {kind} were found with other weights and do not count: calibrate again"
            for kind in self.enhancer.outdated
        ]

    def work(self, names: Mapping[Path, str], seen: Callable[[Found, Result], None] | None = None) -> Work:
        """What is done to each image.

        Args:
            names: what files are called on the page, if there is one.
            seen: hears of each result, of frames of the middle one.
        """

        def work(image: MedicalImage, found: Found, progress: Callable[[int, int], None]) -> Outcome:
            result = self._result(image, progress)
            if seen is not None:
                seen(found, result.frame(len(image.pixels) // 2) if image.frames else result)
            return self._outcome(image, found, result, names.get(found.path, ""))

        return work

    def _result(self, image: MedicalImage, progress: Callable[[int, int], None]) -> Result:
        wishes = self._wishes
        return self.enhancer(
            image.pixels,
            brightness=wishes.brightness,
            denoise=wishes.denoise,
            modality=wishes.modality or image.modality,
            value_range=image.value_range,
            frames=image.frames,
            progress=progress,
            force=wishes.force,
            valid=image.valid,
            tables=image.quantisation,
        )

    def _outcome(self, image: MedicalImage, found: Found, result: Result, name: str) -> Outcome:
        wishes = self._wishes
        processing = Processing(
            result.derivation,
            result.facts["model"],
            result.facts["weights_sha256"],
            wishes.recorded,
            denoised=result.denoise > 0,
            brightened=result.brightness > 0,
        )
        made = result.image
        if wishes.label and processing.enhanced:
            made = burn_label(made, image.value_range, image.frames, image.valid)
        return Outcome(
            made,
            processing,
            # Judging the result takes time: people without a page are not told of it.
            result.report if wishes.reports else {},
            _told(found.path, result) if result.unchanged else "",
            None if wishes.pictures is None else self._card(name, image, result, wishes.pictures),
            result.unchanged,
        )

    @staticmethod
    def _card(name: str, image: MedicalImage, result: Result, expected: int) -> object:
        from lowlight.reports.enhanced import draw_card

        return draw_card(name, described(image), result, expected)


def _told(path: Path, result: Result) -> str:
    """The line about an image that was left alone, and why it was in spite of what is rated."""
    if result.judged is None or not result.undamaged:
        return f"{path}: {result.why_unchanged}"
    from lowlight.reports import reassurance

    return f"{path}: {result.why_unchanged}. {reassurance(result.judged.artifacts.as_dict())}".removesuffix(". ")
