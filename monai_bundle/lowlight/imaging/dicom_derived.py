"""A DICOM object that says what it is: derived from another, by what, and no longer a measurement.

Follows PS3.3 C.7.6.1 (General Image), C.12.4 (General Reference), C.12.1 (SOP Common) and C.7.6.16 (functional groups).
docs/dicom.md of the bundle tells integrators attribute by attribute what is written: keep them alike.
"""

from __future__ import annotations

import copy
import hashlib
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.sequence import Sequence
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    JPEG2000MC,
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    PositronEmissionTomographyImageStorage,
    VLWholeSlideMicroscopyImageStorage,
)

from lowlight import __version__
from lowlight.imaging.dicom_checks import GREY, class_name
from lowlight.imaging.dicom_display import Window
from lowlight.imaging.dicom_text import AsStored
from lowlight.imaging.processing import Processing


class _Code(NamedTuple):
    """A concept of PS3.16 annex D. pydicom has them all in pydicom.sr, which every command would wait for."""

    value: str
    meaning: str


_BRIGHTENED = _Code("113053", "Pixel by pixel multiplication")
_DENOISED = _Code("113087", "Smoothing")
_SOURCE_IMAGE = _Code("121322", "Source image for image processing operation")
_EQUIPMENT = _Code("109102", "Processing Equipment")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/LowLightEnhance")
# Lossy transfer syntaxes, and the standard's name of their method (C.7.6.1.1.5.1).
_LOSSY = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGExtended12Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
    JPEG2000: "ISO_15444_1",
    JPEG2000MC: "ISO_15444_1",
    HTJ2K: "ISO_15444_15",
}
# Said of the source's pixels, encoding or signature; none of it is true of the result.
_DROPPED = (
    "IconImageSequence",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "SmallestImagePixelValueInPlane",
    "LargestImagePixelValueInPlane",
    "MACParametersSequence",
    "DigitalSignaturesSequence",
    "EncryptedAttributesSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelDataProviderURL",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "InstanceCreatorUID",
    "DataSetTrailingPadding",
    # What maps stored values to units of the real world.
    "RealWorldValueMappingSequence",
    "PixelIntensityRelationshipLUTSequence",
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
# Enhanced MR has these in originals only (C.8.13.1 and C.8.13.4; of the pulse sequence the source tells).
_OF_ORIGINAL_MR = (
    "BulkMotionCompensationTechnique",
    "CoverageOfKSpace",
    "EchoPlanarPulseSequence",
    "EchoPulseSequence",
    "GeometryOfKSpaceTraversal",
    "MRAcquisitionType",
    "MultiPlanarExcitation",
    "NumberOfKSpaceTrajectories",
    "OversamplingPhase",
    "PhaseContrast",
    "PulseSequenceName",
    "RectilinearPhaseEncodeReordering",
    "SaturationRecovery",
    "SegmentedKSpaceTraversal",
    "SpectrallySelectedSuppression",
    "SteadyStatePulseSequence",
    "TimeOfFlightContrast",
)
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_DESCRIBING_PIXELS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
_NO_UNIT = "US"
_NOT_APPLICABLE = 0  # of the units of colours in a region of ultrasound (C.8.5.5)
_SERIES_OFFSET = 1000
_LARGEST_INTEGER_STRING = 2**31 - 1
_LONGEST_DESCRIPTION = 1024


class Shown(NamedTuple):
    """How a grey result is shown.

    Attributes:
        windows: one a mapping; None for the source's VOI LUT.
        choice: which of the source's windows and VOI LUTs that is, from 1.
        straightened: stored values are no longer those that a lookup table of the source is made for.
    """

    windows: tuple[Window | None, ...]
    choice: int
    straightened: bool


def derived(
    source: Dataset, stored: NDArray[Any], shown: Shown | None, processing: Processing, encoded: int | None = None
) -> Dataset:
    """The data set of a derived image of the same SOP Class.

    The same source, processing and pixels give the same UIDs, so that a second run adds no duplicate to an archive;
    other pixels never share one.

    Args:
        source: data set of the source, with or without its pixel data.
        stored: pixels to store, (H, W), (H, W, 3) or the same behind an axis of frames; 8 or 16 bit.
        shown: how a grey image is shown; None for colour.
        processing: what was done.
        encoded: bytes of the source's pixel data; states the ratio of a lossy compression that states none.
    """
    result = copy.deepcopy(source)
    for holder in (result, *_group_items(result)):
        for keyword in _DROPPED:
            holder.pop(keyword, None)
    if source.get("SOPClassUID") == EnhancedMRImageStorage:
        for keyword in _OF_ORIGINAL_MR:
            result.pop(keyword, None)
    result.remove_private_tags()
    _drop_what_cannot_be_written(result)
    _identify(result, source, stored, processing)
    _reference(result, source, processing)
    _keep_lossy_history(result, source, stored, encoded)
    if shown is not None:
        _show(result, shown)
        if shown.straightened:
            result.pop("ModalityLUTSequence", None)
    _say_what_has_no_unit(result)
    _set_pixels(result, stored)
    return result


def _group_items(dataset: Dataset) -> Iterator[Dataset]:
    for groups in _GROUPS:
        yield from dataset.get(groups) or []


def _group_parts(dataset: Dataset) -> Iterator[Dataset]:
    """The items of each functional group macro."""
    for item in _group_items(dataset):
        for element in item:
            if element.VR == "SQ":
                yield from element.value or []


def _drop_what_cannot_be_written(dataset: Dataset) -> None:
    """Retired curves (50xx), whose type of value is undecided, stray delimiters (FFFE) and group lengths."""
    for tag in list(dataset.keys()):
        if tag.group == 0xFFFE or 0x5000 <= tag.group <= 0x50FF or tag.elem == 0:
            del dataset[tag]
        elif dataset[tag].VR == "SQ":
            for item in dataset[tag].value:
                _drop_what_cannot_be_written(item)


def _identify(result: Dataset, source: Dataset, stored: NDArray[Any], processing: Processing) -> None:
    digest = hashlib.sha256(stored.tobytes()).hexdigest()
    instance = str(source.get("SOPInstanceUID") or digest)
    series = str(source.get("SeriesInstanceUID") or instance)
    _put(result, SOPInstanceUID=_uid(instance, processing.run, processing.description, digest))
    _put(result, SeriesInstanceUID=_uid(series, processing.run))
    if not source.get("StudyInstanceUID"):
        # No archive takes an object without one.
        _put(result, StudyInstanceUID=_uid(series))
    described = source.get("SeriesDescription") or ""
    told = "" if isinstance(described, AsStored) else str(described)[:55]
    _put(result, SeriesDescription=f"{told} enhanced".strip())
    number = source.get("SeriesNumber")
    _put(result, SeriesNumber=_SERIES_OFFSET + (int(number) if _is_small_number(number) else 0))
    second = _second_value(source)
    _put(result, ImageType=["DERIVED", second, *_values(source, "ImageType")[2:]])
    for part in _group_parts(result):
        if "FrameType" in part:
            _put(part, FrameType=["DERIVED", second, *_values(part, "FrameType")[2:]])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = result.get("SOPClassUID") or UID("")
    meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    result.file_meta = meta
    result.preamble = b"\0" * 128


def _second_value(source: Dataset) -> str:
    """SECONDARY, but for the classes that know only PRIMARY: PET (C.8.9.4.1.1) and those with functional groups."""
    of_frames = any(source.get(groups) for groups in _GROUPS) or class_name(source).startswith("Enhanced ")
    only_primary = (PositronEmissionTomographyImageStorage, VLWholeSlideMicroscopyImageStorage)
    return "PRIMARY" if of_frames or source.get("SOPClassUID") in only_primary else "SECONDARY"


def _put(dataset: Dataset, **elements: Any) -> None:
    """Set elements anew: those that are there may be written with another value representation."""
    for keyword, value in elements.items():
        dataset.pop(keyword, None)
        setattr(dataset, keyword, value)


def _is_small_number(value: Any) -> bool:
    try:
        return 0 <= int(value) <= _LARGEST_INTEGER_STRING - _SERIES_OFFSET
    except (TypeError, ValueError):
        return False


def _values(dataset: Dataset, keyword: str) -> list[str]:
    """All values of an element that may have none, one or several."""
    value = dataset.get(keyword)
    return [] if value is None else value.split("\\") if isinstance(value, str) else list(value)


def _uid(*parts: str) -> UID:
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(parts)).int}")


def _reference(result: Dataset, source: Dataset, processing: Processing) -> None:
    _put(result, DerivationDescription=processing.description[:_LONGEST_DESCRIPTION])
    derivations = [_BRIGHTENED] if processing.brightened else []
    derivations += [_DENOISED] if processing.denoised else []
    # That of the source tells how the source was made, and the source is there to be asked.
    result.pop("DerivationCodeSequence", None)
    if derivations:
        result.DerivationCodeSequence = Sequence([_code(code) for code in derivations])
    if source.get("SOPClassUID") and source.get("SOPInstanceUID"):
        reference = Dataset()
        for keyword, uid in (
            ("ReferencedSOPClassUID", source.SOPClassUID),
            ("ReferencedSOPInstanceUID", source.SOPInstanceUID),
        ):
            # As the source has it: the standard's letter would forbid some UIDs that are in use.
            reference.add(DataElement(keyword, "UI", uid, validation_mode=config.IGNORE))
        if any(source.get(groups) for groups in _GROUPS):
            _list_reference(result, source, copy.deepcopy(reference))
        reference.PurposeOfReferenceCodeSequence = Sequence([_code(_SOURCE_IMAGE)])
        result.SourceImageSequence = Sequence([reference])
    equipment = Dataset()
    equipment.Manufacturer = "LowLightEnhance"
    equipment.ManufacturerModelName = "LowLightEnhance"
    equipment.SoftwareVersions = [__version__, *([processing.model] if processing.model else [])]
    equipment.ContributionDescription = processing.contribution[:_LONGEST_DESCRIPTION]
    equipment.PurposeOfReferenceCodeSequence = Sequence([_code(_EQUIPMENT)])
    result.ContributingEquipmentSequence = Sequence([*(result.get("ContributingEquipmentSequence") or []), equipment])


def _list_reference(result: Dataset, source: Dataset, reference: Dataset) -> None:
    """Classes with functional groups list what they refer to by series as well (C.12.2)."""
    if not source.get("SeriesInstanceUID"):
        return
    series = Dataset()
    series.add(DataElement("SeriesInstanceUID", "UI", source.SeriesInstanceUID, validation_mode=config.IGNORE))
    series.ReferencedInstanceSequence = Sequence([reference])
    listed = list(result.get("ReferencedSeriesSequence") or [])
    result.ReferencedSeriesSequence = Sequence([*listed, series])


def _code(code: _Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, "DCM", code.meaning
    return item


def _keep_lossy_history(result: Dataset, source: Dataset, stored: NDArray[Any], encoded: int | None) -> None:
    """What was lost stays lost: an image that came lossy says so even though it is now stored without loss."""
    method = _LOSSY.get(source.file_meta.get("TransferSyntaxUID"))
    if method is None:
        return
    _put(result, LossyImageCompression="01")
    if encoded and not source.get("LossyImageCompressionRatio"):
        _put(result, LossyImageCompressionRatio=f"{max(stored.nbytes / encoded, 1):.4g}")
    if not source.get("LossyImageCompressionMethod") and len(_numbers(result, "LossyImageCompressionRatio")) <= 1:
        _put(result, LossyImageCompressionMethod=method)


def _numbers(dataset: Dataset, keyword: str) -> list[Any]:
    value = dataset.get(keyword)
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]


def _show(result: Dataset, shown: Shown) -> None:
    """One window, the one under which the pixels were judged; others would show a result that nobody has looked at."""
    holders = [item.FrameVOILUTSequence[0] for item in _group_items(result) if item.get("FrameVOILUTSequence")]
    holders = holders or [result]
    windows = shown.windows if len(shown.windows) == len(holders) else shown.windows[:1] * len(holders)
    if len(holders) != len(shown.windows) and len(set(shown.windows)) > 1:
        # One item is shared by frames whose windows now differ: each frame gets its own.
        holders, windows = _window_for_each_frame(result, len(shown.windows)), shown.windows
    for holder, window in zip(holders, windows, strict=True):
        if window is None:
            _keep_only_lut(holder, shown.choice)
            continue
        holder.pop("VOILUTSequence", None)
        holder.pop("WindowCenterWidthExplanation", None)
        _put(holder, WindowCenter=_decimal(window.centre), WindowWidth=_decimal(window.width))
        holder.pop("VOILUTFunction", None)
        if window.function != "LINEAR":
            _put(holder, VOILUTFunction=window.function)


def _window_for_each_frame(result: Dataset, count: int) -> list[Dataset]:
    for shared in result.get(_GROUPS[0]) or []:
        shared.pop("FrameVOILUTSequence", None)
    holders = []
    for item in result[_GROUPS[1]].value[:count]:
        item.FrameVOILUTSequence = Sequence([Dataset()])
        holders.append(item.FrameVOILUTSequence[0])
    return holders


def _keep_only_lut(holder: Dataset, choice: int) -> None:
    """The VOI LUT that an unchanged image is shown with."""
    tables = holder.get("VOILUTSequence")
    if not tables:
        return
    centres = _numbers(holder, "WindowCenter")
    index = min(max(choice - len(centres) - 1, 0), len(tables) - 1)
    holder.VOILUTSequence = Sequence([tables[index]])
    for keyword in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"):
        holder.pop(keyword, None)


def _decimal(value: float) -> str:
    """A Decimal String: at most 16 characters (PS3.5 6.2)."""
    for digits in range(16, 5, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{value:.6g}"


def _say_what_has_no_unit(result: Dataset) -> None:
    """A tone curve leaves no Hounsfield unit, no activity and no known relation to the X-ray dose."""
    for holder in (result, *_group_items(result)):
        transformations = holder.get("PixelValueTransformationSequence") or []
        for rescaled in (holder, *transformations):
            if "RescaleSlope" in rescaled or "RescaleType" in rescaled:
                _put(rescaled, RescaleType=_NO_UNIT)
            if "RescaleSlope" in rescaled and not rescaled.RescaleSlope:
                # Read as 1 (`rescale`), without which all would be shown as one grey.
                _put(rescaled, RescaleSlope=1)
        for table in holder.get("ModalityLUTSequence") or []:
            _put(table, ModalityLUTType=_NO_UNIT)
    if "Units" in result:
        _put(result, Units="NONE")
        result.pop("SUVType", None)
    for region in result.get("SequenceOfUltrasoundRegions") or []:
        if "PixelComponentPhysicalUnits" in region:
            _put(region, PixelComponentPhysicalUnits=_NOT_APPLICABLE)
    if result.get("Modality") in ("XA", "RF"):
        for holder in (result, *_group_parts(result)):
            if holder.get("PixelIntensityRelationship") in ("LIN", "LOG"):
                _put(holder, PixelIntensityRelationship="DISP")


def _set_pixels(result: Dataset, stored: NDArray[Any]) -> None:
    # Another reader finds the pixels by these; a source may have them under a type that is merely read alike.
    for keyword in _DESCRIBING_PIXELS:
        if result.get(keyword) not in (None, ""):
            _put(result, **{keyword: result[keyword].value})
    colour = result.PhotometricInterpretation not in GREY
    if colour:
        for keyword in _PALETTE:
            result.pop(keyword, None)
        _put(result, PhotometricInterpretation="RGB", SamplesPerPixel=3, PlanarConfiguration=0, PixelRepresentation=0)
    if int(result.BitsAllocated) == 1 and not colour:
        packed = pack_bits(stored.astype(np.uint8).ravel())
        result.add_new("PixelData", "OB", packed)
        return
    bits = stored.dtype.itemsize * 8
    if colour and bits == 8:
        _put(result, BitsStored=8)
    _put(result, BitsAllocated=bits)
    _put(result, HighBit=int(result.BitsStored) - 1)
    content = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    result.add_new("PixelData", "OB" if bits == 8 else "OW", content + b"\0" * (len(content) % 2))
