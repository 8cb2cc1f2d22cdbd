"""One way in for every kind of file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from lowlight.errors import InputError, LowLightError
from lowlight.imaging.filetype import identify
from lowlight.imaging.image import Kind, MedicalImage
from lowlight.imaging.libraries import one_line, without_warnings
from lowlight.imaging.limits import DicomReading
from lowlight.imaging.values import check_declared_range

logger = logging.getLogger(__name__)

Loader = Callable[[Path, tuple[float, float] | None], MedicalImage]

DEFAULT_READING = DicomReading()


def read(
    path: str | Path, value_range: tuple[float, float] | None = None, dicom: DicomReading = DEFAULT_READING
) -> MedicalImage:
    """Read an image file, whatever its name, by its content.

    Args:
        path: PNG, JPEG, TIFF, NIfTI or DICOM; opened for reading only.
        value_range: (black, white) where the file does not say, or says it wrongly. For NIfTI and DICOM in the units
            that the file's own rescale gives (for DICOM it replaces the window); otherwise in stored values.
        dicom: which window of a DICOM file, which modalities, and what the file may cost. DICOM is parsed and decoded
            in another process, which runs out of memory or time without harm to this one.

    Returns:
        The image; `MedicalImage` says what its pixels mean for each kind.

    Raises:
        InputError: the file is missing, empty, unreadable, damaged, too large, holds NaN or infinity, or holds
            floats outside [0, 1] while neither the file nor ``value_range`` says what is black and white.
        NotAnImageError: the file is no image of a supported type.
        DependencyError: its type needs a package that is not installed.
    """
    path = Path(path)
    declared = check_declared_range(path, value_range)
    kind = identify(path)
    try:
        with without_warnings():
            if kind == "dicom":
                from lowlight.imaging.dicom import load

                return load(path, declared, dicom)
            return _loader(kind)(path, declared)
    except (LowLightError, ImportError):
        raise
    except MemoryError:
        raise InputError(path, "does not fit into memory", "split it or scale it down") from None
    except PermissionError:
        raise InputError(path, "may not be read", "check its permissions") from None
    except Exception as error:
        # Decoders raise anything from struct.error to SyntaxError on damaged bytes; users need one line, logs the rest.
        logger.debug("decoding %s failed", path, exc_info=True)
        # What is said of a DICOM element quotes its value, which may be a patient's name.
        reason = type(error).__name__ if kind == "dicom" else one_line(error)
        raise InputError(path, f"is damaged or incomplete ({reason})", "export it again from where it came") from error


def _loader(kind: Kind) -> Loader:
    """The loader of this kind, but DICOM. Imported when met: a folder of JPEGs does not wait for DICOM to load."""
    if kind == "png":
        from lowlight.imaging import png

        return png.load
    if kind == "jpeg":
        from lowlight.imaging import jpeg

        return jpeg.load
    if kind == "tiff":
        from lowlight.imaging import tiff

        return tiff.load
    from lowlight.imaging import nifti

    return nifti.load
