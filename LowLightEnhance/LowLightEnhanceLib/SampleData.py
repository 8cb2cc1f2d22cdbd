"""A sample image that comes with the module: no network is needed."""

import hashlib
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _

from .Problems import Problem

FILE = Path(__file__).resolve().parent.parent / "Resources" / "SampleData" / "DarkRetina.png"
SHA256 = "652901a989a094d260c197befde8cd408f46b44e4b7c4d359370a7d327e08f6a"
DICOM = FILE.with_suffix(".dcm")
"""The same pixels with the attributes that an export takes over, of a patient who does not exist."""
DICOM_SHA256 = "1d41f7341ba1e883c6ee6dc0766d99ef93aa87297b94134c3fcc4f1efcd62fbf"
_SAMPLE = "LowLightEnhance.Sample"
"""Attribute of the volume."""
NAME = _("Dark retina (sample)")
ORIGIN = _("Fundus photograph of a healthy left eye, in the public domain (scikit-image), darkened by simulation.")


def load():
    """The sample as a new colour volume.

    Raises:
        Problem: the file is not the one that was shipped.
    """
    if not (_intact(FILE, SHA256) and _intact(DICOM, DICOM_SHA256)):
        raise Problem("not-an-image", _("The sample image is missing or damaged."), _("Install the extension again."))
    reader = vtk.vtkPNGReader()
    reader.SetFileName(str(FILE))
    # VTK counts rows from below, Slicer's first row is the picture's top.
    flip = vtk.vtkImageFlip()
    flip.SetFilteredAxis(1)
    flip.SetInputConnection(reader.GetOutputPort())
    flip.Update()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", slicer.mrmlScene.GenerateUniqueName(NAME))
    node.SetAndObserveImageData(flip.GetOutput())
    directions = vtk.vtkMatrix4x4()
    directions.SetElement(0, 0, -1)
    directions.SetElement(1, 1, -1)
    node.SetIJKToRASDirectionMatrix(directions)
    node.SetDescription(ORIGIN)
    node.SetAttribute(_SAMPLE, "1")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0, 255)
    return node


def files(node):
    """DICOM files of the sample; empty for every other volume."""
    return [str(DICOM)] if node.GetAttribute(_SAMPLE) else []


def register():
    """Offer the sample in Slicer's Sample Data module, too."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="LowLightEnhance",
        sampleName=NAME,
        thumbnailFileName=str(FILE.parent.parent / "Icons" / "LowLightEnhance.png"),
        uris=FILE.as_uri(),
        fileNames=FILE.name,
        checksums=f"SHA256:{SHA256}",
        nodeNames=NAME,
    )


def _intact(path, checksum):
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == checksum
    except OSError:
        return False
