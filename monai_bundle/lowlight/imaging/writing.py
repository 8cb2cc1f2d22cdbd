"""One way out for every kind of file: the kind that came in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.errors import LowLightError, OutputError
from lowlight.imaging.atomic import atomic_path
from lowlight.imaging.filetype import SUFFIXES, split_suffix
from lowlight.imaging.image import Kind, MedicalImage
from lowlight.imaging.libraries import one_line, without_warnings
from lowlight.imaging.processing import Processing
from lowlight.imaging.values import to_stored


def write(
    source: MedicalImage,
    pixels: NDArray[Any],
    path: str | Path,
    *,
    derivation: str | Processing | None = None,
    compress: str | None = None,
    ready: Callable[[Path], None] | None = None,
) -> Path:
    """Write pixels as a file of the kind that ``source`` was read from, with its depth, geometry and colour profile.

    A JPEG comes out as PNG. A DICOM image comes out as a derived object of the same SOP Class with new, reproducible
    UIDs (PS3.3 C.7.6.1 and C.12.4). Alpha is written back as it was. The file appears whole or not at all.

    Args:
        source: as `lowlight.imaging.read` returned it.
        pixels: of the shape of ``source.pixels`` and in its units, any real dtype; rounded and clipped to what the
            stored bits can hold.
        path: where to, with a suffix that fits the kind (`lowlight.imaging.output_name`); folders are created.
        derivation: what was done, for the metadata of the result: DICOM Derivation Description, PNG text Description,
            TIFF ImageDescription (Software where geometry takes its place), NIfTI descrip (shortened to 80 bytes).
            Part of what new DICOM UIDs are made from, so it should name model and parameters. Without it a DICOM
            object says the least that the standard asks for, and other files say nothing.
        compress: how DICOM is compressed, without loss: jpeg2000, jpegls or rle; None: not at all.
        ready: called with the whole file just before it gets its name, for a caller that keeps account of results.

    Returns:
        ``path`` as a `Path`.

    Raises:
        OutputError: the path is the source itself, cannot be written, or has the suffix of another kind; the pixels
            hold NaN or infinity. Nothing half-written is left behind.
        ValueError: ``pixels`` has another shape than ``source.pixels``.
    """
    path = Path(path)
    if pixels.shape != source.pixels.shape:
        raise ValueError(f"pixels of shape {pixels.shape} cannot replace pixels of shape {source.pixels.shape}")
    result_kind: Kind = "png" if source.kind == "jpeg" else source.kind
    _check_suffix(path, result_kind)
    with atomic_path(path, source.path, ready) as temporary:
        try:
            with without_warnings():
                _save(result_kind, source, pixels, path, temporary, derivation, compress)
        except (OSError, LowLightError):
            raise
        except MemoryError:
            raise OutputError(path, "the result does not fit into memory", "split it or scale it down") from None
        except Exception as error:
            # What is said of a DICOM element quotes its value, which may be a patient's name.
            reason = type(error).__name__ if result_kind == "dicom" else one_line(error)
            raise OutputError(path, f"cannot be encoded ({reason})", "report this with the input") from error
    return path


def write_png(pixels: NDArray[Any], path: str | Path) -> Path:
    """Write an array that came from no file, such as a picture that compares results, as PNG.

    Args:
        pixels: (H, W) or (H, W, 3), uint8 or uint16.
        path: where to; folders are created, an earlier file is replaced.

    Raises:
        OutputError: the file cannot be written.
        ValueError: another shape or dtype.
    """
    from lowlight.imaging import png

    if pixels.dtype not in (np.uint8, np.uint16) or not (
        pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    ):
        raise ValueError(f"PNG takes 8- or 16-bit grey or RGB pixels, not {pixels.dtype} of shape {pixels.shape}")
    path = Path(path)
    with atomic_path(path) as temporary:
        png.save(pixels, None, png.PngRestore(), temporary)
    return path


def _check_suffix(path: Path, kind: Kind) -> None:
    suffix = split_suffix(path.name)[1].lower()
    if suffix in SUFFIXES[kind] or (kind == "dicom" and not suffix):
        return
    raise OutputError(
        path, f"is no name for a result of this kind, which is {kind.upper()}", f"end it in {SUFFIXES[kind][0]}"
    )


def _save(
    kind: Kind,
    source: MedicalImage,
    pixels: NDArray[Any],
    path: Path,
    temporary: Path,
    derivation: str | Processing | None,
    compress: str | None,
) -> None:
    """Encode into ``temporary``; ``path`` is what errors name. Imported when met, as in reading."""
    if kind == "dicom":
        from lowlight.imaging import dicom

        dicom.save(source, pixels, path, temporary, Processing.of(derivation), compress)
        return
    description = derivation.description if isinstance(derivation, Processing) else derivation
    stored = to_stored(path, pixels, source.pixels.dtype)
    if kind == "png":
        from lowlight.imaging import png

        png.save(stored, source.alpha, source.restore, temporary, description)
    elif kind == "tiff":
        from lowlight.imaging import tiff

        tiff.save(stored, source.frames, source.alpha, source.restore, temporary, description)
    else:
        from lowlight.imaging import nifti

        nifti.save(stored, source.frames, source.restore, temporary, description)
