"""What the process that reads DICOM files tells of one.

Apart from what reads them, so that a run without a DICOM file never loads the library for them: it is a third of the
time that such a run takes to start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a file holds.

    Attributes:
        dataset: without pixel data and private elements; every value has been read once.
        stored: (H, W), (H, W, 3) or the same behind an axis of frames; colours as RGB.
        quantisation: the JPEG tables of the first frame; None for other transfer syntaxes.
        encoded: bytes of the pixel data in the file.
    """

    dataset: Dataset
    stored: NDArray[Any]
    quantisation: dict[int, list[int]] | None
    encoded: int


@dataclass(frozen=True)
class Described:
    """What tells where an image belongs, read without its pixels.

    Attributes:
        series, instance: UIDs; empty where there is none.
        number: Instance Number; 0 where there is none.
        position: Image Position (Patient) along the normal of the slice; None where there is none.
        form: what images that share one tone have in common (class, modality, size, kind of pixels).
        timed: it says how long it is shown, or which acquisition it is part of.
        plane: Frame of Reference and orientation; None where one of them is missing.
        frames: number of frames.
        referenced: for a DICOMDIR, the files that it lists, as parts of a path; otherwise None.
    """

    series: str
    instance: str
    number: int
    position: float | None
    form: tuple[Any, ...]
    timed: bool
    plane: tuple[Any, ...] | None
    frames: int
    referenced: tuple[tuple[str, ...], ...] | None = None


@dataclass(frozen=True)
class Outline:
    """What tells whether an instance is wanted, read without its pixels.

    Attributes:
        instance, study, series: UIDs as the file has them; empty where there is none.
        attributes: Modality, StationName, BodyPartExamined, SeriesDescription and StudyDescription; empty where there
            is none.
        expected: Images in Acquisition; None where it is not stated.
        equipment: the models that Contributing Equipment Sequence names.
    """

    instance: str
    study: str
    series: str
    attributes: dict[str, str]
    expected: int | None
    equipment: tuple[str, ...]
