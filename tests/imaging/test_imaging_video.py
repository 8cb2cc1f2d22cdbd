"""Films are read and written with the colours, times, sizes and sound that they have."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from film_files import packets, panned, planes, retina, times, tone, turned, write_film
from numpy.typing import NDArray

from lowlight.errors import InputError, LimitError
from lowlight.imaging.filetype import clip_container
from lowlight.imaging.limits import Limits
from lowlight.imaging.video import Clip, ClipFrame, Read
from lowlight.imaging.video_colour import BT601, BT709, Coding, frame_of, pixels_of


def read(path: Path) -> tuple[list[ClipFrame], Read]:
    """All frames of a film, and what was found."""
    with Clip.open(path) as clip:
        frames = list(clip.frames())
        assert clip.read is not None
        return frames, clip.read


def rewritten(source: Path, target: Path, **options: Any) -> tuple[list[ClipFrame], list[ClipFrame]]:
    """A film written again with the pixels that were read: those, and what another reading finds."""
    container = {".mp4": "mp4", ".mkv": "matroska", ".avi": "avi"}[target.suffix]
    target.touch()
    with Clip.open(source) as clip:
        clip.write(target, container, lambda frames: (frame.pixels for frame in frames), **options)
        before = list(clip.frames())
    return before, read(target)[0]


def display(frame: ClipFrame) -> NDArray[np.float64]:
    """Black 0 and white 255."""
    black, white = frame.value_range
    return (frame.pixels.astype(float) - black) / (white - black) * 255


@pytest.mark.parametrize("matrix", [BT601, BT709])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv444p"])
def test_coding_shifts_no_colour(matrix: tuple[float, float], full: bool, layout: str) -> None:
    picture, coding = retina(192, 128), Coding("yuv", 8, full, matrix)
    back = pixels_of(frame_of(picture, coding, coding, layout), coding)
    difference = back.astype(float) - picture
    # At black, rounding can only go up: a quarter of a level.
    assert np.abs(difference.mean((0, 1))).max() < 0.25
    # Without halved chroma what is left is rounding, of luma and of chroma.
    assert layout != "yuv444p" or np.sqrt((difference**2).mean()) < 0.8


def test_decoding_agrees_with_ffmpeg() -> None:
    frame = av.VideoFrame.from_ndarray(retina(), "rgb24").reformat(
        format="yuv444p", dst_colorspace=1, src_color_range=2, dst_color_range=1
    )
    frame.colorspace, frame.color_range = 1, 1
    theirs = frame.reformat(format="rgb24", src_colorspace=1, src_color_range=1, dst_color_range=2).to_ndarray()
    coding = Coding.of(frame)
    assert (coding.full, coding.matrix) == (False, BT709)
    assert np.abs(pixels_of(frame, coding).astype(int) - theirs).max() <= 1


@pytest.mark.parametrize(("matrix", "full"), [(1, False), (5, False), (5, True), (None, False)])
def test_a_film_comes_back_with_its_colours(matrix: int | None, full: bool, tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mkv", panned(6, light=0.8), "ffv1", matrix=matrix, full=full)
    before, after = rewritten(source, tmp_path / "b.mp4")
    shifts = [display(b).mean((0, 1)) - display(a).mean((0, 1)) for a, b in zip(before, after, strict=True)]
    assert np.abs(shifts).max() < 0.75, "less than a level"
    # A decoder that knows nothing of this program sees the same: the tags are right.
    with av.open(str(tmp_path / "b.mp4")) as opened:
        shown = next(opened.decode(video=0)).to_ndarray(format="rgb24", interpolation="BICUBIC")
    assert np.abs(shown.astype(float).mean((0, 1)) - panned(6, light=0.8)[0].mean((0, 1))).max() < 2.5


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_lossless_is_bit_for_bit(suffix: str, tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mkv", panned(4), "ffv1")
    before, after = rewritten(source, tmp_path / f"b{suffix}", lossless=True)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_frames_of_uneven_steps_keep_their_times(tmp_path: Path) -> None:
    ticks = [0, 33, 40, 120, 121, 300, 700, 733, 1500, 1540]
    source = write_film(tmp_path / "a.mp4", panned(10), ticks=ticks)
    _, found = read(source)
    assert not found.regular
    for suffix in (".mp4", ".mkv"):
        rewritten(source, tmp_path / f"b{suffix}")
        np.testing.assert_allclose(times(tmp_path / f"b{suffix}"), np.array(ticks) / 1000, atol=0.0006)


@pytest.mark.parametrize("size", [(97, 65), (96, 65), (97, 64)])
def test_odd_sizes_stay(size: tuple[int, int], tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mkv", panned(3, *size), "ffv1")
    for suffix in (".mp4", ".avi"):
        _, after = rewritten(source, tmp_path / f"b{suffix}")
        assert [frame.pixels.shape for frame in after] == [(size[1], size[0], 3)] * 3


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_film_comes_out_the_right_way_up(quarters: int, tmp_path: Path) -> None:
    upright = read(write_film(tmp_path / "a.mp4", panned(2)))[0][0].pixels
    source = turned(tmp_path / "a.mp4", quarters)
    before, after = rewritten(source, tmp_path / "b.avi")
    np.testing.assert_array_equal(before[0].pixels, np.rot90(upright, -quarters))
    assert after[0].pixels.shape == before[0].pixels.shape


def test_a_grey_film_is_read_as_its_luma_and_stays_grey(tmp_path: Path) -> None:
    grey = [np.repeat(frame[..., 1:2], 3, axis=2) for frame in panned(5)]
    source = write_film(tmp_path / "a.mp4", grey)
    before, after = rewritten(source, tmp_path / "b.mp4")
    assert before[0].pixels.ndim == 2
    assert before[0].value_range == (16, 235)
    for _, blue, red in planes(tmp_path / "b.mp4"):
        assert (blue == 128).all()
        assert (red == 128).all()
    assert np.abs(display(after[0]) - display(before[0])).mean() < 1


def test_ten_bits_stay(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mkv", panned(3), "ffv1", "yuv420p10le", matrix=1)
    before, after = rewritten(source, tmp_path / "b.mp4")
    assert before[0].pixels.dtype == after[0].pixels.dtype == np.uint16
    with av.open(str(tmp_path / "b.mp4")) as opened:
        assert opened.streams.video[0].codec_context.pix_fmt == "yuv420p10le"


def test_sound_is_passed_on_as_it_is_where_the_container_can_hold_it(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", panned(12), sound="aac")
    rewritten(source, tmp_path / "b.mkv")
    assert packets(tmp_path / "b.mkv", "audio") == packets(source, "audio") != []
    (tmp_path / "d.avi").touch()
    with Clip.open(write_film(tmp_path / "c.mkv", panned(12), sound="libopus")) as clip:
        written = clip.write(tmp_path / "d.avi", "avi", lambda frames: (None for _ in frames))
    assert written.left_out == ("opus",)
    assert packets(tmp_path / "d.avi", "audio") == []


def test_a_coders_run_up_of_sound_moves_no_frame_in_avi(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", panned(12), sound="aac")
    with av.open(str(source)) as opened:
        assert min(packet.pts for packet in opened.demux(opened.streams.audio[0]) if packet.pts is not None) < 0
    (tmp_path / "b.avi").touch()
    with Clip.open(source) as clip:
        clip.write(tmp_path / "b.avi", "avi", lambda frames: (None for _ in frames))
    assert times(tmp_path / "b.avi") == pytest.approx(times(source))
    assert packets(tmp_path / "b.avi", "audio")


def test_titles_and_dates_are_left_behind_unless_asked_for(tmp_path: Path) -> None:
    named = {"title": "DOE^JANE", "comment": "born 1950", "creation_time": "2001-02-03T04:05:06Z"}
    source = write_film(tmp_path / "a.mkv", panned(3), metadata=named)
    rewritten(source, tmp_path / "b.mkv", tags={"comment": "made"})
    assert b"DOE" not in (tmp_path / "b.mkv").read_bytes()
    with av.open(str(tmp_path / "b.mkv")) as opened:
        assert {key.lower(): value for key, value in opened.metadata.items()}["comment"] == "made"
        assert "creation_time" not in opened.metadata
    rewritten(source, tmp_path / "c.mkv", named=True)
    with av.open(str(tmp_path / "c.mkv")) as opened:
        assert opened.metadata["title"] == "DOE^JANE"


def test_a_copy_holds_the_same_pictures_as_they_are_coded(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", panned(30), sound="aac", metadata={"title": "DOE^JANE"})
    (tmp_path / "b.mp4").touch()
    with Clip.open(source) as clip:
        assert clip.copies_into("mp4")
        assert not clip.copies_into("avi")
        clip.copy(tmp_path / "b.mp4", "mp4")
    for kind in ("video", "audio"):
        assert packets(tmp_path / "b.mp4", kind) == packets(source, kind)
    assert times(tmp_path / "b.mp4") == times(source)
    assert b"DOE" not in (tmp_path / "b.mp4").read_bytes()


def refusal(path: Path, limits: Limits | None = None) -> str:
    """What a film is refused with, when it is opened or while it is read."""
    with pytest.raises(InputError) as refused, Clip.open(path, limits or Limits()) as clip:
        list(clip.frames())
    assert str(refused.value).startswith(f"{path}: ")
    return str(refused.value).removeprefix(f"{path}: ")


def test_what_is_no_film_is_refused_in_words(tmp_path: Path) -> None:
    good = write_film(tmp_path / "good.mp4", panned(12))
    content = good.read_bytes()
    for name, held, said in (
        ("empty.mp4", b"", "is empty"),
        ("text.mkv", b"not a film, but words" * 40, "is named .mkv but holds text"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "is named .mp4 but holds text"),
        ("cut.mp4", content[: len(content) // 2], "is damaged or incomplete"),
        ("header.mp4", content[:32] + os.urandom(600), "is damaged or incomplete"),
        ("noise.avi", b"RIFF\xff\xff\xff\x7fAVI " + bytes(range(256)) * 8, "holds no video; it may be damaged"),
    ):
        (tmp_path / name).write_bytes(held)
        assert said in refusal(tmp_path / name), name
    assert "does not exist" in refusal(tmp_path / "none.mp4")


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=48000)
        out.mux(stream.encode(tone(0)))
        out.mux(stream.encode(None))
    assert refusal(tmp_path / "a.mp4") == "holds no video, only sound; choose another file"


def test_an_encrypted_film_says_so(tmp_path: Path) -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
           "encryption_kid": "a7e61c373e219033c21091fa607bf3b8"}  # fmt: skip
    source = write_film(tmp_path / "a.mp4", panned(12), container=key)
    assert refusal(source) == "is encrypted; export it without copy protection"


def test_frames_beyond_the_limit_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", panned(2))
    assert refusal(source, Limits(pixels=6000)).startswith("has frames of 96 x 64 pixels, more than 0.006 million")


def test_high_dynamic_range_is_refused(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", panned(2), transfer=16)
    assert "high dynamic range (PQ or HLG); convert it to BT.709 first" in refusal(source)


def test_a_film_that_is_damaged_in_the_middle_gives_what_is_left(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", panned(50), options={"crf": "8", "g": "10"})
    content = bytearray(source.read_bytes())
    start = content.index(b"mdat")
    middle = start + (content.index(b"moov") - start) // 2 if content.index(b"moov") > start else len(content) // 2
    content[middle : middle + 400] = bytes(400)
    source.write_bytes(content)
    frames, found = read(source)
    assert found.damaged > 0
    assert found.first_damage is not None
    assert 0.2 < found.first_damage < 1.8
    assert 35 <= found.frames == len(frames) <= 50


@pytest.mark.parametrize("sound", [None, "flac"])
def test_a_film_that_was_cut_off_says_what_is_missing(sound: str | None, tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mkv", panned(75), "ffv1", sound=sound)
    assert read(source)[1].missing == 0
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    _, found = read(source)
    assert 25 < found.frames < 50
    assert found.missing == pytest.approx((75 - found.frames) / 25, abs=0.1)


def test_frames_that_change_their_size_are_refused(tmp_path: Path) -> None:
    one, other = (write_film(tmp_path / f"{w}.mp4", panned(3, w, 64), options={"bf": "0"}) for w in (96, 64))
    # Two films behind each other, as streams of H.264 can be: a transport stream, copied into Matroska.
    with av.open(str(tmp_path / "a.mkv"), "w") as out, av.open(str(one)) as first, av.open(str(other)) as second:
        target = out.add_stream_from_template(first.streams.video[0])
        annexb = [av.BitStreamFilterContext("h264_mp4toannexb", opened.streams.video[0]) for opened in (first, second)]
        ticks = 0
        for opened, filtered in ((first, annexb[0]), (second, annexb[1])):
            for packet in opened.demux(video=0):
                for part in filtered.filter(packet) if packet.size else []:
                    data = av.Packet(_length_prefixed(bytes(part)))
                    data.pts = data.dts = ticks
                    data.time_base, data.stream = opened.streams.video[0].time_base, target
                    data.is_keyframe = part.is_keyframe
                    ticks += 512
                    out.mux(data)
    assert "changes the size of its frames from 96 x 64 to 64 x 64" in refusal(tmp_path / "a.mkv")


def _length_prefixed(annexb: bytes) -> bytes:
    """NAL units with their lengths before them, as MP4 and Matroska have them."""
    units = [unit for unit in annexb.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def test_a_decoder_that_dies_costs_one_film(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", panned(40))
    with Clip.open(source) as clip:
        frames = clip.frames()
        next(frames)
        assert clip._child is not None
        os.kill(clip._child.pid, signal.SIGKILL)
        with pytest.raises(LimitError, match=r"makes the decoder crash \(signal 9\)"):
            list(frames)
        # The next reading gets another process.
        assert len(list(clip.frames())) == 40


def test_a_film_that_asks_for_too_much_memory_is_refused(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mkv", [retina(1600, 1200)] * 2, "ffv1")
    assert "memory=NUMBER" in refusal(source, Limits(memory=1_000_000)) or "crash" in refusal(source, Limits(memory=1))


def test_films_are_known_by_their_content(tmp_path: Path) -> None:
    for suffix, container in ((".mp4", "mov"), (".mkv", "matroska"), (".avi", "avi")):
        film = write_film(tmp_path / f"a{suffix}", panned(2), "mpeg4")
        assert clip_container(film.rename(tmp_path / f"{suffix[1:]}.png")) == container
    (tmp_path / "still.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    assert clip_container(tmp_path / "still.heic") is None
