"""Physical geometry that microscopy programs keep in the ImageDescription of a TIFF: ImageJ's lines and OME-XML.

Both are taken apart and put together again from what is known to be geometry (units, spacing, origin, order of planes),
because free text beside it may name a patient. For the same reason, and because it describes other pixels, ImageJ's
display range, colour tables, regions and labels, and OME's names, channels' dyes and annotations, are left behind.

Geometry cannot be kept, and the description is dropped as a whole, where it would no longer be true of the result:

- the file has a TIFF orientation, which is applied to the pixels;
- ImageJ counts other planes than the file has pages (unit and spacing are still kept);
- OME-XML describes several images, a set of several files, other planes than the file has pages, or a pixel type that
  is expanded on reading (1 bit, palette);
- OME-XML declares a document type.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

_UNIT_KEYS = ("unit", "yunit", "zunit", "tunit", "spacing", "finterval", "fps", "xorigin", "yorigin", "zorigin")
_PLANE_KEYS = ("images", "channels", "slices", "frames", "hyperstack", "mode", "order")
# A number, a word or a unit: too short and too plain to say much about a person.
_PLAIN = re.compile(r"reference frame|[-+.:\w\\/^\u00b0\u00b2\u00b5\u00c5\u03bc]{1,24}", re.ASCII)

_OME_TYPES = {"float": "float32", "double": "float64"}
_PIXELS = (
    *("ID", "DimensionOrder", "Type", "SizeX", "SizeY", "SizeZ", "SizeC", "SizeT", "SignificantBits"),
    *("PhysicalSizeX", "PhysicalSizeY", "PhysicalSizeZ", "TimeIncrement"),
    *("PhysicalSizeXUnit", "PhysicalSizeYUnit", "PhysicalSizeZUnit", "TimeIncrementUnit"),
)
_PARTS = {
    # In the order that OME's schema asks for.
    "Channel": ("ID", "SamplesPerPixel"),
    "TiffData": ("IFD", "FirstZ", "FirstC", "FirstT", "PlaneCount"),
    "Plane": (
        *("TheZ", "TheC", "TheT", "DeltaT", "PositionX", "PositionY", "PositionZ"),
        *("DeltaTUnit", "PositionXUnit", "PositionYUnit", "PositionZUnit"),
    ),
}


def is_imagej(description: str | None) -> bool:
    """True for an ImageDescription as ImageJ writes it; ImageJ then expects all planes in one run, uncompressed."""
    return description is not None and description.startswith("ImageJ=")


def geometry(description: str, pages: int, dtype: np.dtype[np.generic] | None) -> str | None:
    """The geometry in an ImageDescription, as an ImageDescription of ASCII letters; None if there is none to keep.

    Args:
        description: ImageDescription of the first page.
        pages: how many pages the file has.
        dtype: of the pixels as they will be written; None where they are expanded to colours.
    """
    if is_imagej(description):
        return _imagej(description, pages)
    if description.rstrip().endswith("OME>"):
        return _ome(description, pages, dtype)
    return None


def _imagej(description: str, pages: int) -> str:
    lines = (line.partition("=") for line in description.splitlines())
    entries = {key: value.strip() for key, _, value in lines if _PLAIN.fullmatch(value.strip())}
    kept = ["ImageJ"]
    if entries.get("images", "1") == str(pages):
        kept += _PLANE_KEYS
    kept += _UNIT_KEYS
    text = "".join(f"{key}={entries[key]}\n" for key in kept if key in entries)
    # ImageJ reads these lines as Java properties, which write other letters so.
    return "".join(letter if letter.isascii() else f"\\u{ord(letter):04X}" for letter in text)


def _ome(description: str, pages: int, dtype: np.dtype[np.generic] | None) -> str | None:
    if "<!" in re.sub(r"<!--.*?-->", "", description, flags=re.DOTALL):
        return None
    try:
        source = ElementTree.fromstring(description)
    except ElementTree.ParseError:
        return None
    namespace = source.tag.partition("}")[0].removeprefix("{")
    images = source.findall("{*}Image")
    pixels = source.find("{*}Image/{*}Pixels")
    if len(images) != 1 or pixels is None or not _true_of(pixels, pages, dtype):
        return None
    kept = ElementTree.Element("OME", {"xmlns": namespace})
    image = ElementTree.SubElement(kept, "Image", {"ID": "Image:0"})
    parent = ElementTree.SubElement(image, "Pixels", _plain(pixels, _PIXELS))
    for name, attributes in _PARTS.items():
        for part in pixels.findall(f"{{*}}{name}"):
            ElementTree.SubElement(parent, name, _plain(part, attributes))
    return ElementTree.tostring(kept, encoding="us-ascii", xml_declaration=True).decode("ascii")


def _true_of(pixels: ElementTree.Element, pages: int, dtype: np.dtype[np.generic] | None) -> bool:
    """True if these are the planes of this file alone, in the type that will be written."""
    if len({uuid.get("FileName") for uuid in pixels.iterfind("{*}TiffData/{*}UUID")}) > 1:
        return False
    stored_as = pixels.get("Type", "")
    if dtype is None or _OME_TYPES.get(stored_as, stored_as) != dtype.name:
        return False
    try:
        return pages == int(pixels.get("SizeZ", "1")) * int(pixels.get("SizeT", "1")) * _pages_of_a_plane(pixels)
    except ValueError:
        return False


def _pages_of_a_plane(pixels: ElementTree.Element) -> int:
    """One a channel; the samples of a colour are one channel."""
    size = int(pixels.get("SizeC", "1"))
    samples = [int(channel.get("SamplesPerPixel", "1")) for channel in pixels.findall("{*}Channel")]
    return len(samples) if samples and sum(samples) == size else size


def _plain(element: ElementTree.Element, names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name in names if _PLAIN.fullmatch(value := element.get(name, ""))}
