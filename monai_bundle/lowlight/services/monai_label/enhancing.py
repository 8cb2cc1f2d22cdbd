"""The infer task: an image of the datastore in, the enhanced image out, as a file of the same kind."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from lowlight.errors import LowLightError
from lowlight.imaging import output_name, read, write
from lowlight.imaging.filetype import SUFFIXES, split_suffix
from lowlight.imaging.limits import DicomReading
from lowlight.imaging.processing import Processing
from lowlight.services.monai_label.refusals import refusal
from lowlight.services.monai_label.wishes import Strengths

if TYPE_CHECKING:
    from lowlight import Enhancer


class EnhanceTask(InferTask):
    """Enhances one image after the other.

    Args:
        description: for people.
        bundle: folder of the bundle; None: the one that is installed.
        results: folder for result files; who asked removes them.
    """

    def __init__(self, description: str, bundle: Path | None, results: Path) -> None:
        super().__init__(InferType.OTHERS, labels=[], dimension=2, description=description, config=Strengths.shown())
        self._bundle, self._results = bundle, results
        self._lock = threading.Lock()
        self._loaded: tuple[int, Enhancer] | None = None

    def is_valid(self) -> bool:
        """Whether there are weights."""
        return self._bundle is None or (self._bundle / "models" / "model.pt").is_file()

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Enhance `request["image"]`, the path of a file, at the strengths that the request names.

        Returns:
            The path of the result, and what was done.

        Raises:
            HTTPException: 400 for an option that is wrong, 415 for a file that is no image, 422 for one that cannot be
                enhanced; "detail" says why.
        """
        wishes = Strengths.of(request)
        path = Path(request["image"])
        try:
            image = read(path, dicom=DicomReading(any_modality=wishes.any_modality))
            with self._lock:
                result = self._enhancer()(
                    image.pixels,
                    brightness=wishes.brightness,
                    denoise=wishes.denoise,
                    modality=wishes.modality or image.modality,
                    value_range=image.value_range,
                    frames=image.frames,
                    force=wishes.force,
                    valid=image.valid,
                    tables=image.quantisation,
                )
            processing = Processing(
                result.derivation,
                result.facts["model"],
                result.facts["weights_sha256"],
                wishes.as_parameters(),
                denoised=result.denoise > 0,
                brightened=result.brightness > 0,
            )
            # The name goes into a header of the answer, and that of the source may be a patient's.
            suffix = split_suffix(output_name(image, path.name).name)[1] or SUFFIXES[image.kind][0]
            self._results.mkdir(mode=0o700, exist_ok=True)
            target = write(image, result.image, self._results / (uuid.uuid4().hex + suffix), derivation=processing)
        except LowLightError as error:
            raise refusal(error) from None
        return str(target), {
            "brightness": result.brightness,
            "denoise": result.denoise,
            "unchanged": result.unchanged,
            "reason": result.why_unchanged if result.unchanged else "",
            **{name: result.facts[name] for name in ("model", "weights_sha256", "expected_error", "seconds")},
        }

    def _enhancer(self) -> Enhancer:
        """The engine, loaded with the first image, and again when there are new weights."""
        from lowlight import Enhancer

        made = 0 if self._bundle is None else (self._bundle / "models" / "model.pt").stat().st_mtime_ns
        if self._loaded is None or self._loaded[0] != made:
            self._loaded = (made, Enhancer(self._bundle))
        return self._loaded[1]
