"""A DICOM object that says what it is: derived from another, by what, and no longer a measurement.

Follows PS3.3 C.7.6.1 (General Image), C.12.4 (General Reference) and C.12.1 (SOP Common).
"""

from __future__ import annotations

import copy
import hashlib
import uuid
from pathlib import Path
from typing import Any

import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from lowlight import __version__
from lowlight.imaging.dicom_display import Window

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/LowLightEnhance")
_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000)
# Said of the source's pixels, encoding or signature; none of it is true of the result.
_DROPPED = (
    "IconImageSequence",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "MACParametersSequence",
    "DigitalSignaturesSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "InstanceCreatorUID",
    "DataSetTrailingPadding",
)
_PALETTE = (
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "PaletteColorLookupTableUID",
)


def derived(source: Dataset, stored: NDArray[Any], window: Window | None, derivation: str) -> Dataset:
    """The data set of a derived image of the same SOP Class.

    The same source, derivation and pixels give the same UIDs, so that a second run adds no duplicate to an archive;
    other pixels never share one.

    Args:
        source: data set of the source, with or without its pixel data.
        stored: pixels to store, (H, W), (H, W, 3) or the same behind an axis of frames; 8 or 16 bit.
        window: for display; None leaves what the source has.
        derivation: Derivation Description.
    """
    result = copy.deepcopy(source)
    for keyword in _DROPPED:
        result.pop(keyword, None)
    result.remove_private_tags()
    _drop_what_cannot_be_written(result)
    _identify(result, source, stored, derivation)
    _reference(result, source, derivation)
    _keep_lossy_history(result, source)
    if window is not None:
        _show(result, window)
    if "RescaleType" in result:
        result.RescaleType = "US"  # a tone curve leaves no Hounsfield or other unit
    _set_pixels(result, stored)
    return result


def write_dataset(dataset: Dataset, path: Path) -> None:
    """Write as a Part 10 file, Explicit VR Little Endian."""
    pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=True, enforce_file_format=True)


def _drop_what_cannot_be_written(dataset: Dataset) -> None:
    """Retired curves (50xx), whose type of value is undecided, and stray sequence delimiters (FFFE)."""
    for tag in list(dataset.keys()):
        if tag.group == 0xFFFE or 0x5000 <= tag.group <= 0x50FF:
            del dataset[tag]


def _identify(result: Dataset, source: Dataset, stored: NDArray[Any], derivation: str) -> None:
    digest = hashlib.sha256(stored.tobytes()).hexdigest()
    result.SOPInstanceUID = _uid(str(source.get("SOPInstanceUID")), derivation, digest)
    result.SeriesInstanceUID = _uid(str(source.get("SeriesInstanceUID")), derivation)
    result.SeriesDescription = f"{str(source.get('SeriesDescription') or '')[:55]} enhanced".strip()
    result.ImageType = ["DERIVED", "SECONDARY", *_values(source, "ImageType")[2:]]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = result.get("SOPClassUID") or UID("")
    meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    result.file_meta = meta
    result.preamble = b"\0" * 128


def _values(dataset: Dataset, keyword: str) -> list[str]:
    """All values of an element that may have none, one or several."""
    value = dataset.get(keyword)
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _uid(*parts: str) -> UID:
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(parts)).int}")


def _reference(result: Dataset, source: Dataset, derivation: str) -> None:
    result.DerivationDescription = derivation[:1024]
    if source.get("SOPClassUID") and source.get("SOPInstanceUID"):
        reference = Dataset()
        reference.ReferencedSOPClassUID = source.SOPClassUID
        reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
        reference.PurposeOfReferenceCodeSequence = _code(codes.DCM.SourceImageForImageProcessingOperation)
        result.SourceImageSequence = Sequence([reference])
    equipment = Dataset()
    equipment.Manufacturer = "LowLightEnhance"
    equipment.ManufacturerModelName = "LowLightEnhance"
    equipment.SoftwareVersions = __version__
    equipment.ContributionDescription = derivation[:1024]
    equipment.PurposeOfReferenceCodeSequence = _code(codes.DCM.ProcessingEquipment)
    result.ContributingEquipmentSequence = Sequence([*(result.get("ContributingEquipmentSequence") or []), equipment])


def _code(code: Any) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return Sequence([item])


def _keep_lossy_history(result: Dataset, source: Dataset) -> None:
    """What was lost stays lost: an image that came lossy says so even though it is now stored without compression."""
    if source.file_meta.get("TransferSyntaxUID") in _LOSSY:
        result.LossyImageCompression = "01"


def _show(result: Dataset, window: Window) -> None:
    """One window, the one under which the pixels were judged; others would show a result that nobody has looked at."""
    result.pop("VOILUTSequence", None)
    result.pop("WindowCenterWidthExplanation", None)
    holders = [
        item.FrameVOILUTSequence[0]
        for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
        for item in result.get(groups) or []
        if item.get("FrameVOILUTSequence")
    ]
    for holder in holders or [result]:
        holder.WindowCenter, holder.WindowWidth = _decimal(window.centre), _decimal(window.width)
        holder.pop("VOILUTFunction", None)
        holder.pop("WindowCenterWidthExplanation", None)
        if window.function != "LINEAR":
            holder.VOILUTFunction = window.function


def _decimal(value: float) -> str:
    """A Decimal String: at most 16 characters (PS3.5 6.2)."""
    for digits in range(16, 5, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{value:.6g}"


def _set_pixels(result: Dataset, stored: NDArray[Any]) -> None:
    colour = result.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2")
    bits = stored.dtype.itemsize * 8
    if colour:
        for keyword in _PALETTE:
            result.pop(keyword, None)
        result.PhotometricInterpretation = "RGB"
        result.SamplesPerPixel, result.PlanarConfiguration = 3, 0
        result.PixelRepresentation = 0
    if colour and bits == 8:
        result.BitsStored = 8
    result.BitsAllocated = bits
    result.HighBit = int(result.BitsStored) - 1
    content = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    result.add_new("PixelData", "OB" if bits == 8 else "OW", content + b"\0" * (len(content) % 2))
