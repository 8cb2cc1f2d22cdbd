"""Text that is copied as it is stored, because the file states a character set in which it is not written.

That is common: names in Latin letters with accents in a file that declares UTF-8, or nothing. Whoever decodes such a
name and encodes it again has changed it, and an archive no longer knows whose image that is (PS3.5 6.1).
"""

from __future__ import annotations

from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag

_TEXT = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
_PADDING = b" \0"
_ESCAPE = b"\x1b"  # to another character set (PS3.5 6.1.2.5)
_HEADER = 8  # bytes of tag and length in implicit encoding


class AsStored(bytes):
    """The bytes of a text, padded to even length; `pydicom` writes them unchanged."""

    def encode(self, encodings: object = None) -> bytes:
        """Themselves, in whatever character sets; this is how `pydicom` writes the value of a PN."""
        return bytes(self)


def keep_as_stored(dataset: Dataset, encoding: str | list[str] = default_encoding) -> None:
    """Turn text that would not survive being written again into `AsStored`.

    Args:
        dataset: as read, no element looked at yet; changed in place. Private elements are left out.
        encoding: Specific Character Set that holds where the data set states none.

    Raises:
        Exception: of any kind, where a sequence or a text is damaged.
    """
    encoding = dataset.get("SpecificCharacterSet") or encoding
    for tag in list(dataset.keys()):
        stored = dataset.get_item(tag)
        kind = "" if tag.is_private else stored.VR or _expected(tag)
        if kind == "SQ":
            for item in dataset[tag].value or []:
                keep_as_stored(item, encoding)
        elif kind in _TEXT and isinstance(stored, RawDataElement) and stored.value:
            value = bytes(stored.value)
            if not _survives(value, dataset[tag], encoding):
                text = AsStored(value + b" " * (len(value) % 2))
                dataset[tag] = DataElement(tag, kind, text, already_converted=True)


def _expected(tag: BaseTag) -> str:
    return dictionary_VR(tag) if dictionary_has_tag(tag) else ""


def _survives(stored: bytes, element: DataElement, encoding: str | list[str]) -> bool:
    """Whether the text would be the same after being written again."""
    plain = stored.isascii() and _ESCAPE not in stored
    return plain or _written(element, encoding) == stored.rstrip(_PADDING)


def _written(element: DataElement, encoding: str | list[str]) -> bytes | None:
    """How `pydicom` would write the value; None if it could not."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    try:
        write_data_element(buffer, element, convert_encodings(encoding))
    except (UnicodeError, TypeError, ValueError, LookupError):
        return None
    return buffer.getvalue()[_HEADER:].rstrip(_PADDING)
