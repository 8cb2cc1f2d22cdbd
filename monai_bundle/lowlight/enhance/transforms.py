"""The ends of the inference workflow: a file in, its enhanced twin out. MONAI dictionary transforms.

They use the same functions as `Enhancer`: `frames_to_display` before the network, `Result` after it.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from lowlight.enhance.enhancer import choose_strengths, frames_to_display
from lowlight.enhance.identity import ModelIdentity
from lowlight.enhance.judging import Subject, judge_beforehand
from lowlight.enhance.result import Result
from lowlight.enhance.torch_engine import split_frames
from lowlight.errors import InputError, NotAnImageError
from lowlight.imaging import Found, collect, plan_names, read, write

logger = logging.getLogger(__name__)


def files_to_enhance(dataset_dir: str | Path) -> list[dict[str, Any]]:
    """The readable images below a folder: {"image": path, "output": relative output path} each, sorted.

    A file that has to be refused gets a line in the log, and the others are enhanced all the same.

    Raises:
        InputError: the folder does not exist or holds no image.
    """
    found = [entry for entry in collect([dataset_dir]) if _holds_image(entry)]
    if not found:
        raise InputError(Path(dataset_dir), "no image found in this folder", "give --dataset_dir a folder of images")
    names = plan_names(found)
    return [{"image": str(entry.path), "output": str(name)} for entry, name in zip(found, names, strict=True)]


def _holds_image(entry: Found) -> bool:
    try:
        entry.read()
    except NotAnImageError:
        return False
    except InputError as error:
        logger.error("Refused: %s", error)
        return False
    return True


class ReadDisplayd(MapTransform):
    """Read a file as the batch that the network sees: (frames, C, H, W) float32 in display space; of grey C is 1.

    Args:
        keys: paths. source_key: receives the `MedicalImage`, which writing the result needs.
    """

    def __init__(self, keys: KeysCollection, source_key: str = "source") -> None:
        super().__init__(keys)
        self.source_key = source_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        for key in self.key_iterator(item):
            source = read(item[key])
            item[self.source_key] = source
            display = frames_to_display(source.pixels, source.value_range, source.frames)
            item[key] = torch.from_numpy(display)
        return item


class BlendAndWrited(MapTransform):
    """Blend the network's output (frames, 9, H, W) with the source for the strengths and write the same kind of file.

    As with `Enhancer`, an image that is judged undamaged is written as it was, unless a strength is named.

    Args:
        keys: the network's output. source_key: the `MedicalImage`. output_dir: folder of the results.
        bundle_root, weights: what made the image, for its metadata.
        strengths: defaults per modality, see inference.yaml. modality, brightness, denoise, force: as for `Enhancer`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | Path,
        bundle_root: str | Path,
        weights: str | Path,
        strengths: dict[str, dict[str, float]],
        source_key: str = "source",
        modality: str | None = None,
        brightness: float | None = None,
        denoise: float | None = None,
        force: bool = False,
    ) -> None:
        super().__init__(keys)
        self.force = force
        self.output_dir, self.source_key = Path(output_dir), source_key
        self.model = ModelIdentity.of(bundle_root, weights)
        self.strengths, self.modality, self.brightness, self.denoise = strengths, modality, brightness, denoise

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        source = item[self.source_key]
        modality = self.modality or source.modality
        chosen = choose_strengths(self.strengths, modality, self.brightness, self.denoise)
        subject = Subject(source.pixels, source.value_range, source.frames, source.valid, source.quantisation)
        judged = judge_beforehand(subject, self.brightness, self.denoise, self.force)
        for key in self.key_iterator(item):
            target = self.output_dir / item["output"]
            undamaged = judged is not None and judged.undamaged
            if undamaged or subject.blank:
                item[key] = str(write(source, source.pixels, target, derivation=self.model.unchanged(undamaged)))
                why = "judged undamaged" if undamaged else "no valid pixel"
                logger.info("%s -> %s: %s, unchanged", source.path, item[key], why)
                continue
            result = Result(
                source=source.pixels,
                value_range=source.value_range,
                brightness=chosen["brightness"],
                denoise=chosen["denoise"],
                frames=source.frames,
                predictions=split_frames(item[key]),
                derivation=self.model.derivation(chosen["brightness"], chosen["denoise"]),
            )
            item[key] = str(write(source, result.image, target, derivation=result.derivation))
            logger.info("%s -> %s", source.path, item[key])
        return item


class KeepFirst:
    """Collate function for batches of one file: the item itself, whose tensor already is a batch of frames."""

    def __call__(self, batch: list[dict[str, Any]]) -> dict[str, Any]:
        if len(batch) != 1:
            raise ValueError(f"a batch holds the frames of one file; got {len(batch)} files")
        return batch[0]


def image_alone(
    batch: Mapping[str, Any], device: torch.device | str | None = None, non_blocking: bool = False, **_: Any
) -> tuple[torch.Tensor, None]:
    """MONAI's `prepare_batch` for inference: the image on its device, and no label."""
    return batch["image"].to(device=device, non_blocking=non_blocking), None
