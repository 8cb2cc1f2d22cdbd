"""Names and other text come out with the very bytes that went in, whatever character set the file claims."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import shipped
from dicom_validation import is_dumped

from lowlight.imaging import read, write
from lowlight.imaging.dicom_text import AsStored

TEXTS = {
    (0x0008, 0x0080): ("LO", b"Klinik \xfcber \x1b$B "),
    (0x0008, 0x1030): ("LO", b"R\xf6ntgen Thorax"),
    (0x0010, 0x0010): ("PN", b"M\xfcller^J\xf6rg\xff"),
    (0x0010, 0x4000): ("LT", b"\xe4\xf6"),
}


def with_texts(path: Path, stated: str | None, texts: dict[tuple[int, int], tuple[str, bytes]] = TEXTS) -> Path:
    """A shipped file with these bytes as texts, whatever the stated character set makes of them."""
    dataset = pydicom.dcmread(shipped("examples_rgb_color.dcm"))
    dataset.pop("SpecificCharacterSet", None)
    if stated is not None:
        dataset.SpecificCharacterSet = stated.split("\\")
    for tag, (kind, text) in texts.items():
        assert len(text) % 2 == 0
        dataset.add_new(tag, kind, "x" * len(text))
    dataset.save_as(path)
    content = path.read_bytes()
    for (group, element), (kind, text) in texts.items():
        header = struct.pack("<HH", group, element) + kind.encode() + struct.pack("<H", len(text))
        content = content.replace(header + b"x" * len(text), header + text)
    path.write_bytes(content)
    return path


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("stated", [None, "ISO_IR 192", "ISO_IR 13", "\\ISO 2022 IR 87", "GB18030", "nonsense"])
def test_text_in_another_character_set_than_stated_is_copied(stated: str | None, tmp_path: Path) -> None:
    image = read(with_texts(tmp_path / "in.dcm", stated))
    result = pydicom.dcmread(write(image, image.pixels / 2, tmp_path / "out.dcm"))
    for tag, (_, text) in TEXTS.items():
        raw = result.get_item(tag)
        assert raw is not None
        assert raw.value.rstrip() == text.rstrip()
    assert is_dumped(tmp_path / "out.dcm")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_series_description_in_no_known_character_set_gives_way(tmp_path: Path) -> None:
    image = read(with_texts(tmp_path / "in.dcm", "ISO_IR 192", {(0x0008, 0x103E): ("LO", b"Br\xfcste")}))
    assert isinstance(image.restore.dataset.SeriesDescription, AsStored)
    result = pydicom.dcmread(write(image, np.zeros_like(image.pixels), tmp_path / "out.dcm"))
    assert result.SeriesDescription == "enhanced"
