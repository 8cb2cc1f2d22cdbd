"""Whether an element is written as the data dictionary has it (PS3.5 6.2, PS3.6).

Devices confuse types that are read alike (LO and SH, OB and OW), and no harm comes of it. A number that is written as
text, or text as a number, is no such slip: either the type or the tag has been damaged, and nobody knows which.
"""

from __future__ import annotations

from pydicom.datadict import dictionary_VR

SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
"""Value representations whose length is written in 16 bits (PS3.5 7.1.2)."""
LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Value representations whose length is written in 32 bits."""

_UNKNOWN = b"UN"
_READ_ALIKE = [
    frozenset(names.split())
    for names in (
        b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT",
        b"OB OD OF OL OV OW",
        b"SS US",
        b"SL UL",
        b"SV UV",
    )
]
_VALUE_BYTES = {b"AT": 4, b"FD": 8, b"FL": 4, b"SL": 4, b"SS": 2, b"SV": 8, b"UL": 4, b"US": 2, b"UV": 8}
_META = 0x0002
# Curves are retired, and what stands in them is nowhere written down for good; no result has them.
_CURVES = range(0x5000, 0x5100)


def contradiction(tag: int, representation: bytes, length: int) -> str | None:
    """What is wrong with the type of an element in explicit encoding; None if nothing is.

    Args:
        tag: group and element.
        representation: one of `SHORT` and `LONG`.
        length: bytes of its value.
    """
    group = tag >> 16
    if group % 2 or group in _CURVES or representation == _UNKNOWN:
        return None
    if length % _VALUE_BYTES.get(representation, 1):
        return f"has {length} bytes, which is no whole number of values of type {representation.decode()}"
    try:
        expected = dictionary_VR(tag)
    except KeyError:
        return None
    allowed = frozenset(expected.encode().split(b" or "))
    if representation in allowed:
        return None
    if group != _META and any(representation in alike and allowed & alike for alike in _READ_ALIKE):
        return None
    return f"is written as {representation.decode()} instead of {expected}"
