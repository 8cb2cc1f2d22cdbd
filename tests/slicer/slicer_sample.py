"""Makes the DICOM file of the sample image from its PNG: what an export of the sample takes its attributes from.

python tests/slicer/slicer_sample.py
"""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless, SecondaryCaptureImageStorage

SAMPLES = Path(__file__).resolve().parents[2] / "LowLightEnhance" / "Resources" / "SampleData"
PICTURE, FILE = SAMPLES / "DarkRetina.png", SAMPLES / "DarkRetina.dcm"


def identifier(what: str) -> str:
    """A UID that is the same every time (PS3.5, B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'https://github.com/LowLightEnhance/sample/{what}').int}"


def sample() -> Dataset:
    """The sample as a secondary capture (PS3.3, A.8) of a patient who does not exist."""
    pixels = np.asarray(Image.open(PICTURE).convert("RGB"))
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, identifier("image")
    made.StudyInstanceUID, made.SeriesInstanceUID = identifier("study"), identifier("series")
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.Modality, made.ConversionType = "OP", "WSD"
    made.PatientName, made.PatientID = "Sample^Dark Retina", "LOWLIGHT-SAMPLE"
    made.PatientBirthDate = made.PatientSex = made.ReferringPhysicianName = made.AccessionNumber = ""
    made.StudyID, made.StudyDate, made.StudyTime = "1", "20260101", "120000"
    made.StudyDescription = "LowLightEnhance sample"
    made.SeriesNumber, made.InstanceNumber, made.SeriesDescription = 1, 1, "Dark retina (sample)"
    made.Laterality, made.PatientOrientation, made.Manufacturer = "L", "", ""
    made.DerivationDescription = "Public-domain fundus photograph (scikit-image), darkened by simulation"
    # The photograph that it was made from was a JPEG.
    made.LossyImageCompression, made.LossyImageCompressionMethod = "01", "ISO_10918_1"
    made.Rows, made.Columns, made.SamplesPerPixel = *pixels.shape[:2], 3
    made.PhotometricInterpretation, made.PlanarConfiguration = "RGB", 0
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = pixels.tobytes()
    made.compress(JPEGLSLossless, generate_instance_uid=False)
    return made


if __name__ == "__main__":
    sample().save_as(FILE, enforce_file_format=True)
