"""Multi-frame objects of today's classes, made of real single frames that ship with pydicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from dicom_files import shipped
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedUSVolumeStorage,
    EnhancedXAImageStorage,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

_PATIENT_AND_STUDY = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
    "StudyInstanceUID",
]
_UID = "1.2.826.0.1.3680043.8.498.9"
_LEVELS = (1.0, 0.75, 0.5)  # of brightness, one a frame


def item(**elements: Any) -> Dataset:
    """An item of a sequence; lists of items become sequences."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _base(source: Dataset, sop_class: str, modality: str, image_type: Sequence[str]) -> Dataset:
    """Patient, study and equipment of the source, its frame at three levels of brightness, and what all classes ask."""
    dataset = Dataset()
    for keyword in _PATIENT_AND_STUDY:
        setattr(dataset, keyword, source.get(keyword, ""))
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, f"{_UID}.1"
    dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.InstanceNumber = f"{_UID}.2", 3, 1
    dataset.Modality, dataset.ImageType = modality, list(image_type)
    dataset.ContentDate, dataset.ContentTime, dataset.AcquisitionDateTime = "20260102", "101112", "20260102101112"
    dataset.Manufacturer, dataset.ManufacturerModelName = "A maker", "A model"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "1", "1"
    frame = source.pixel_array
    frames = np.stack([(frame * level).astype(frame.dtype) for level in _LEVELS])
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = len(frames), *frame.shape[:2]
    dataset.BitsAllocated, dataset.PixelRepresentation = frame.itemsize * 8, source.PixelRepresentation
    dataset.BitsStored, dataset.HighBit = source.BitsStored, source.BitsStored - 1
    dataset.SamplesPerPixel = frame.shape[2] if frame.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if frame.ndim == 3 else "MONOCHROME2"
    if frame.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.PixelData = frames.tobytes()
    dataset["PixelData"].VR = "OB" if frame.itemsize == 1 else "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _with_dimensions(dataset: Dataset) -> list[Dataset]:
    """Add what classes with functional groups ask; returns the item of each frame."""
    dataset.AcquisitionContextSequence = []
    dataset.PresentationLUTShape, dataset.AcquisitionNumber = "IDENTITY", 1
    dataset.DimensionOrganizationSequence = [item(DimensionOrganizationUID=f"{_UID}.4")]
    dataset.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=f"{_UID}.4",
            DimensionIndexPointer=0x00209056,
            FunctionalGroupPointer=0x00209111,
        )
    ]
    frames = []
    for number in range(1, dataset.NumberOfFrames + 1):
        content = item(
            StackID="1",
            InStackPositionNumber=number,
            DimensionIndexValues=[number],
            FrameAcquisitionNumber=number,
            FrameReferenceDateTime="20260102101112",
            FrameAcquisitionDateTime="20260102101112",
            FrameAcquisitionDuration=20.0,
            TemporalPositionIndex=number,
        )
        frames.append(item(FrameContentSequence=[content]))
    dataset.PerFrameFunctionalGroupsSequence = frames
    return frames


def enhanced_ct() -> Dataset:
    """Three slices of CT_small.dcm with plane, window and rescale in functional groups."""
    source = pydicom.dcmread(shipped("CT_small.dcm"))
    kind = ["ORIGINAL", "PRIMARY", "AXIAL", "NONE"]
    dataset = _base(source, EnhancedCTImageStorage, "CT", kind)
    described = {
        "PixelPresentation": "MONOCHROME",
        "VolumetricProperties": "VOLUME",
        "VolumeBasedCalculationTechnique": "NONE",
    }
    for keyword, value in described.items():
        setattr(dataset, keyword, value)
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = f"{_UID}.5", ""
    dataset.ContentQualification, dataset.PatientPosition = "RESEARCH", "HFS"
    window = item(WindowCenter="-100", WindowWidth="1600")
    values = item(RescaleIntercept=source.RescaleIntercept, RescaleSlope=source.RescaleSlope, RescaleType="HU")
    region = item(CodeValue="69536005", CodingSchemeDesignator="SCT", CodeMeaning="Head")
    for number, frame in enumerate(_with_dimensions(dataset)):
        frame.PlanePositionSequence = [item(ImagePositionPatient=[0, 0, 5 * number])]
    dataset.SharedFunctionalGroupsSequence = [
        item(
            CTImageFrameTypeSequence=[item(FrameType=kind, **described)],
            PixelMeasuresSequence=[item(PixelSpacing=source.PixelSpacing, SliceThickness=5)],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            FrameAnatomySequence=[item(FrameLaterality="U", AnatomicRegionSequence=[region])],
            FrameVOILUTSequence=[window],
            PixelValueTransformationSequence=[values],
        )
    ]
    return dataset


def enhanced_xa() -> Dataset:
    """A run of three frames, with a window in each."""
    source = pydicom.dcmread(shipped("examples_overlay.dcm"))
    kind = ["ORIGINAL", "PRIMARY", "SINGLE PLANE", "NONE"]
    dataset = _base(source, EnhancedXAImageStorage, "XA", kind)
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LIN", 1
    dataset.ContentQualification, dataset.PlaneIdentification = "RESEARCH", "MONOPLANE"
    dataset.PositionerType, dataset.RadiationSetting, dataset.TableType = "CARM", "GR", "FIXED"
    dataset.CArmPositionerTabletopRelationship, dataset.DetectorType = "NO", "DIRECT"
    dataset.PatientOrientation = ["L", "F"]
    for frame in _with_dimensions(dataset):
        frame.FrameVOILUTSequence = [item(WindowCenter="400", WindowWidth="800")]
    dataset.SharedFunctionalGroupsSequence = [
        item(
            FramePixelDataPropertiesSequence=[
                item(
                    FrameType=kind,
                    PixelIntensityRelationship="LIN",
                    PixelIntensityRelationshipSign=1,
                    GeometricalProperties="UNIFORM",
                )
            ],
        )
    ]
    return dataset


def enhanced_us() -> Dataset:
    """A volume of three planes."""
    source = pydicom.dcmread(shipped("examples_overlay.dcm"))
    frame = (source.pixel_array >> 4).astype(np.uint8)
    source.PixelData, source.BitsAllocated, source.BitsStored, source.HighBit = frame.tobytes(), 8, 8, 7
    kind = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset = _base(source, EnhancedUSVolumeStorage, "US", kind)
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = f"{_UID}.5", ""
    for number, group in enumerate(_with_dimensions(dataset)):
        group.PlanePositionVolumeSequence = [item(ImagePositionVolume=[0.0, 0.0, float(number)])]
    dataset.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[item(PixelSpacing=[1, 1], SliceThickness=1)],
            PlaneOrientationVolumeSequence=[item(ImageOrientationVolume=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])],
            FrameVOILUTSequence=[item(WindowCenter="100", WindowWidth="200")],
            USImageDescriptionSequence=[
                item(FrameType=kind, VolumetricProperties="VOLUME", VolumeBasedCalculationTechnique="NONE")
            ],
        )
    ]
    return dataset


def ultrasound_clip() -> Dataset:
    """Three colour frames with their times."""
    source = pydicom.dcmread(shipped("examples_rgb_color.dcm"))
    dataset = _base(source, UltrasoundMultiFrameImageStorage, "US", ["ORIGINAL", "PRIMARY"])
    dataset.FrameTime, dataset.FrameIncrementPointer = "40", 0x00181063
    return dataset


def _secondary_capture(source: Dataset, sop_class: str) -> Dataset:
    dataset = _base(source, sop_class, "OT", ["DERIVED", "SECONDARY"])
    dataset.ConversionType, dataset.FrameTime, dataset.FrameIncrementPointer = "WSD", "40", 0x00181063
    if dataset.SamplesPerPixel == 1:
        dataset.PresentationLUTShape, dataset.RescaleIntercept, dataset.RescaleSlope = "IDENTITY", 0, 1
        dataset.RescaleType = "US"
    return dataset


def true_colour_capture() -> Dataset:
    """Three colour frames of a screen."""
    return _secondary_capture(
        pydicom.dcmread(shipped("SC_rgb_rle.dcm")), MultiFrameTrueColorSecondaryCaptureImageStorage
    )


def byte_capture() -> Dataset:
    """Three grey frames of 8 bits."""
    source = pydicom.dcmread(shipped("examples_overlay.dcm"))
    source.PixelData = (source.pixel_array >> 4).astype(np.uint8).tobytes()
    source.BitsAllocated, source.BitsStored, source.HighBit = 8, 8, 7
    return _secondary_capture(source, MultiFrameGrayscaleByteSecondaryCaptureImageStorage)


def word_capture() -> Dataset:
    """Three grey frames of 12 bits."""
    return _secondary_capture(
        pydicom.dcmread(shipped("examples_overlay.dcm")), MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    )


MULTIFRAME = (
    enhanced_ct,
    enhanced_xa,
    enhanced_us,
    ultrasound_clip,
    true_colour_capture,
    byte_capture,
    word_capture,
)


def saved(dataset: Dataset, path: Path) -> Path:
    """The data set as a file."""
    dataset.save_as(path, enforce_file_format=True)
    return path
