"""What Slicer's DICOM database knows of a volume. Files are read by the worker alone, never here."""

import slicer
from slicer.i18n import tr as _

from . import SampleData

KINDS = {
    **dict.fromkeys(("CR", "DX", "MG", "RG", "XA", "RF", "PX", "IO"), "xray"),
    **dict.fromkeys(("US", "IVUS"), "ultrasound"),
    "ES": "endoscopy",
    "OP": "fundus",
    "DMS": "dermatology",
}
"""DICOM modality (PS3.3, C.7.3.1.1.1) -> kind of image that has strengths of its own."""

MEASURING = {"CT": "CT", "MR": "MR", "PT": "PET", "NM": _("nuclear medicine")}
"""Modalities whose values are measurements, which an enhanced image no longer is."""

_MODALITY, _BITS_STORED, _SIGNED = "0008,0060", "0028,0101", "0028,0103"
_SLOPE, _INTERCEPT = "0028,1053", "0028,1052"


def instances(node):
    """UIDs of the instances that a volume was loaded from; empty for one that is not from the DICOM database."""
    proxy = node.GetNthDataNode(0) if node.IsA("vtkMRMLSequenceNode") and node.GetNumberOfDataNodes() else node
    return (node.GetAttribute("DICOM.instanceUIDs") or proxy.GetAttribute("DICOM.instanceUIDs") or "").split()


def files(node):
    """Paths of those instances, as far as the database knows them, each once; of the sample image, its own file."""
    database = slicer.dicomDatabase
    found = [database.fileForInstance(uid) for uid in instances(node)] if database is not None else []
    return list(dict.fromkeys(path for path in found if path)) or SampleData.files(node)


def modality(node):
    """The DICOM modality of a volume, such as "CR"; empty where it is not known."""
    return _value(node, _MODALITY)


def kind(node):
    """The kind of image that a volume's modality names: one of `KINDS`' values, or None."""
    return KINDS.get(modality(node))


def measured(node):
    """What a volume's values are measurements of: "CT", … (see `MEASURING`), or None."""
    return MEASURING.get(modality(node))


def usedRange(node):
    """(lowest, highest) of the rescaled values that the stored bits can hold; None where DICOM does not say."""
    try:
        bits = int(_value(node, _BITS_STORED))
        signed = int(_value(node, _SIGNED) or 0)
        slope = float(_value(node, _SLOPE) or 1)
        intercept = float(_value(node, _INTERCEPT) or 0)
    except ValueError:
        return None
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    ends = sorted((lowest * slope + intercept, highest * slope + intercept))
    return ends[0], ends[1]


def _value(node, tag):
    uids = instances(node)
    return slicer.dicomDatabase.instanceValue(uids[0], tag) if uids and slicer.dicomDatabase is not None else ""
