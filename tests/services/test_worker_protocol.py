"""What a client asks the worker for is what `Enhancer` gives, and a bad request costs nothing but itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from worker_runs import Worker

from lowlight import Enhancer
from lowlight.services.channel import LONGEST_LINE
from lowlight.services.failures import Kind
from lowlight.services.worker import JOBS, PROTOCOL, QUICK, STUDY


def test_it_says_who_it_is_before_it_is_asked(worker: Worker, enhancer: Enhancer) -> None:
    hello = worker.ask("hello", protocol=PROTOCOL, client="test")
    assert hello["model"] == enhancer.model.name
    assert hello["weights_sha256"] == enhancer.model.weights_sha256
    assert hello["strengths"] == enhancer.strengths
    assert (hello["engine"], hello["device"]) == ("onnx", "cpu")
    assert hello["process"] == worker.pid
    assert {engine["name"]: engine["installed"] for engine in hello["engines"]} == {"onnx": True, "torch": True}
    assert hello["devices"][0]["device"] == "cpu"
    assert Path(hello["folder"]).stat().st_mode & 0o077 == 0, "others may look into the folder"


def test_the_page_explains_every_request_and_every_kind_of_error(bundle: Path) -> None:
    page = (bundle / "docs" / "worker.md").read_text(encoding="utf-8")
    headings = re.findall(r"^###? (.*)$", page, re.MULTILINE)
    explained = {name for heading in headings for name in re.findall(r"`(\w+)`", heading.partition("→")[0])}
    assert {*JOBS, *QUICK, *STUDY, "hello", "cancel", "quit"} == explained - {"error"}
    table = page[page.index("| `kind` |") :]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)[1:] == list(get_args(Kind))
    assert f"# The worker: protocol {PROTOCOL}\n" in page


def test_another_protocol_is_answered_in_plain_words(worker: Worker) -> None:
    error = worker.ask("hello", protocol=PROTOCOL + 1)
    assert error["kind"] == "incompatible"
    assert f"protocol {PROTOCOL + 1}" in error["message"]
    assert "same version" in error["remedy"]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", ">u2"])
def test_the_result_is_the_enhancers_in_the_same_type(
    worker: Worker, enhancer: Enhancer, dark: np.ndarray, dtype: str
) -> None:
    # Signed 16 bit as in CT, with values beyond black and white.
    image = (dark.astype(float) * 4 - 100).astype(dtype) if dtype == "int16" else dark.astype(dtype)
    black_white = (-50.0, 700.0) if dtype == "int16" else (0.0, 255.0)
    answer = worker.enhance(image, value_range=black_white, modality="xray")
    found = worker.take(answer["image"])
    expected = enhancer(image, value_range=black_white, modality="xray")
    assert (found.dtype, found.shape) == (image.dtype, image.shape)
    assert np.array_equal(found, expected.image)
    assert (answer["brightness"], answer["denoise"]) == (expected.brightness, expected.denoise)
    assert answer["value_range"] == list(black_white)
    assert not answer["unchanged"]


def test_blending_gives_the_enhancers_image_without_the_network(
    worker: Worker, enhancer: Enhancer, dark_colour: np.ndarray
) -> None:
    answer = worker.enhance(dark_colour, maps=["gain", "residual", "uncertainty"])
    expected = enhancer(dark_colour)
    for brightness, denoise in ((1, 1), (0.6, 0.3), (1.5, 0), (0, 0)):
        blended = worker.ask("blend", result=answer["result"], brightness=brightness, denoise=denoise)
        assert np.array_equal(worker.take(blended["image"]), expected.blend(brightness, denoise))
    for name, file in answer["maps"].items():
        assert np.array_equal(worker.take(file), getattr(expected, name)), name
    worker.take(answer["image"])


def test_slices_get_a_tone_together_or_each_its_own(worker: Worker, enhancer: Enhancer, dark: np.ndarray) -> None:
    stack = np.stack([dark, dark // 2, dark // 3])
    shared = worker.enhance(stack, frames=True)
    expected = enhancer(stack, frames=True)
    assert np.array_equal(worker.take(shared["image"]), expected.image)
    own = worker.enhance(stack, frames=True, tone="own")
    image = worker.take(own["image"])
    assert own["unchanged_slices"] == []
    for number, (found, alone) in enumerate(zip(image, stack, strict=True)):
        single = enhancer(alone)
        assert np.array_equal(found, single.image)
        blended = worker.ask("blend", result=own["result"], brightness=0.5, denoise=0.2, slice=number)
        assert np.array_equal(worker.take(blended["image"]), single.blend(0.5, 0.2))
        blended = worker.ask("blend", result=shared["result"], brightness=0.5, denoise=0.2, slice=number)
        assert np.array_equal(worker.take(blended["image"]), expected.blend(0.5, 0.2)[number])
    gain = worker.take(worker.ask("maps", result=shared["result"], maps=["gain"], slice=2)["maps"]["gain"])
    assert np.array_equal(gain, expected.gain[2])
    assert worker.ask("blend", result=shared["result"], slice=3)["kind"] == "bad-request"


def test_maps_belong_to_the_picture_at_its_strengths(worker: Worker, dark_colour: np.ndarray) -> None:
    name = worker.enhance(dark_colour)["result"]

    def taken(brightness: float | None, denoise: float | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        given = {"result": name, "brightness": brightness, "denoise": denoise}
        files = worker.ask("maps", maps=["gain", "residual", "uncertainty"], **given)["maps"]
        gain, residual, uncertainty = (worker.take(files[kind]) for kind in ("gain", "residual", "uncertainty"))
        return gain, residual, uncertainty

    full = taken(1, 1)
    assert all(np.array_equal(one, other) for one, other in zip(taken(None, None), full, strict=True))
    gain, residual, uncertainty = taken(0, 0)
    assert (gain == 1).all()
    assert not residual.any()
    assert np.array_equal(uncertainty, full[2]), "it speaks of the full strength, whatever the sliders do"
    gain, residual, _ = taken(0.5, 0.25)
    assert 1 < gain.mean() < full[0].mean()
    # The residual is the difference that denoising makes in the picture, where that is neither black nor white.
    pictures = [
        worker.take(worker.ask("blend", result=name, brightness=0.5, denoise=denoise)["image"]).astype(float)
        for denoise in (0.25, 0)
    ]
    inside = np.logical_and.reduce([(picture > 0) & (picture < 255) for picture in pictures])
    assert inside.mean() > 0.5
    assert np.abs((pictures[0] - pictures[1]) / 255 - residual)[inside].max() < 1.01 / 255
    assert np.abs(taken(1, 0.25)[1] - 0.25 * full[1]).max() < 1e-6


def test_each_slice_is_told_as_progress(worker: Worker, dark: np.ndarray) -> None:
    worker.other.clear()
    stack = np.stack([dark] * 3)
    number = worker.send("enhance", array=worker.put(stack), frames=True, keep=False)
    worker.take(worker.answer(number)["image"])
    told = [(fields["phase"], fields["done"], fields["total"]) for fields in worker.progress_of(number)]
    assert ("enhancing", 3, 3) in told
    phases = list(dict.fromkeys(phase for phase, _, _ in told))
    assert phases == ["reading", "judging", "tone", "enhancing", "writing"]


def test_a_good_image_is_left_alone_and_the_reason_is_said(worker: Worker, retina: np.ndarray) -> None:
    answer = worker.enhance(retina, report=True)
    assert np.array_equal(worker.take(answer["image"]), retina)
    assert answer["undamaged"]
    assert answer["unchanged"]
    assert "undamaged" in answer["reason"]
    assert answer["report"]["before"] == answer["report"]["after"]
    forced = worker.enhance(retina, force=True, keep=False)
    assert not forced["unchanged"]
    assert forced["result"] is None
    assert not np.array_equal(worker.take(forced["image"]), retina)


def test_the_report_is_the_enhancers(worker: Worker, enhancer: Enhancer, dark: np.ndarray) -> None:
    answer = worker.enhance(dark)
    worker.take(answer["image"])
    report = worker.ask("report", result=answer["result"])
    expected = json.loads(json.dumps(enhancer(dark).report))
    assert (report["before"], report["after"]) == (expected["before"], expected["after"])
    changed = worker.ask("report", result=answer["result"], brightness=0, denoise=0)
    assert changed["after"] == changed["before"] == expected["before"]


def test_a_mask_says_where_the_image_may_change(worker: Worker, enhancer: Enhancer, dark: np.ndarray) -> None:
    mask = np.zeros(dark.shape, bool)
    mask[20:60] = True
    found = worker.take(worker.enhance(dark, mask=worker.put(mask))["image"])
    assert np.array_equal(found, enhancer(dark, mask=mask).image)


def test_what_makes_a_result_flat_is_said(worker: Worker, dark: np.ndarray) -> None:
    twelve_bits = worker.enhance(dark.astype(np.uint16) * 16)
    worker.take(twelve_bits["image"])
    assert "of the range of its 16-bit values" in twelve_bits["warnings"][0]
    beyond = worker.enhance(dark, value_range=[0, 20])
    worker.take(beyond["image"])
    assert "beyond black (0) and white (20)" in beyond["warnings"][0]


def test_of_blends_that_wait_the_latest_wins(worker: Worker, enhancer: Enhancer, dark_colour: np.ndarray) -> None:
    image = np.tile(dark_colour, (2, 2, 1))
    answer = worker.enhance(image, force=True)
    worker.take(answer["image"])
    strengths = np.linspace(0.1, 1, 10)
    numbers = [worker.send("blend", result=answer["result"], brightness=b, denoise=0.5) for b in strengths]
    final = [worker.next() for _ in numbers]
    assert sorted(fields["id"] for fields in final) == numbers, "each request has one final answer"
    done = [fields for fields in final if fields["type"] == "blended"]
    assert done[-1]["id"] == numbers[-1]
    assert len(done) < len(numbers)
    assert {fields["kind"] for fields in final if fields["type"] == "error"} == {"superseded"}
    images = [worker.take(fields["image"]) for fields in done]
    assert np.array_equal(images[-1], enhancer(image, force=True).blend(strengths[-1], 0.5))


def test_what_is_forgotten_is_gone(worker: Worker, dark: np.ndarray) -> None:
    answer = worker.enhance(dark)
    worker.take(answer["image"])
    assert worker.ask("forget", result=answer["result"])["type"] == "forgotten"
    error = worker.ask("blend", result=answer["result"])
    assert error["kind"] == "no-result"
    assert "Enhance the image again" in error["remedy"]


def test_torn_and_joined_lines_are_understood(worker: Worker, dark: np.ndarray) -> None:
    lines = [
        {"type": "enhance", "id": name, "array": worker.put(dark), "keep": False, "device": "cpu"}
        for name in ("é1", "é2")
    ]
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    cut = content.index("é".encode()) + 1  # in the middle of a letter
    for piece in (content[:5], content[5:cut], content[cut:]):
        worker.send_bytes(piece)
    for name in ("é1", "é2"):
        answer = worker.until(lambda fields, name=name: fields["id"] == name and fields["type"] == "result")
        worker.take(answer["image"])


def test_bad_requests_in_a_row_cost_themselves_alone(worker: Worker, dark: np.ndarray) -> None:
    folder = worker.folder
    (folder / "in-text.npy").write_text("no array")
    (folder / "in-lies.npy").write_bytes(
        b"\x93NUMPY\x01\0v\0{'descr':'<f8','fortran_order':False,'shape':(99999,99999,999)}".ljust(128)
    )
    (folder / "in-link.npy").symlink_to(__file__)
    (folder / "in-folder.npy").mkdir()
    np.save(folder / "in-pickle.npy", np.array([{}], dtype=object), allow_pickle=True)

    def array(content: np.ndarray) -> dict[str, object]:
        return {"array": worker.put(content)}

    bad: list[tuple[str, dict[str, object]]] = [
        ("not-an-image", array(np.full((4, 4), np.nan))),
        ("not-an-image", array(np.zeros((0, 5), np.uint8))),
        ("not-an-image", array(np.zeros((5, 5, 4), np.uint8))),
        ("not-an-image", array(np.zeros((5, 5), complex))),
        ("not-an-image", array(np.zeros((5, 5), "datetime64[s]"))),
        ("not-an-image", array(np.full((5, 5), 7.0))),
        ("not-an-image", {**array(dark), "mask": worker.put(np.ones((2, 2), bool))}),
        ("not-an-image", {**array(np.stack([dark] * 2)), "frames": True, "tone": "own", "valid": worker.put(dark > 0)}),
        ("bad-request", {**array(dark), "mask": worker.put(np.ones((2, 2), np.uint8))}),
        ("bad-request", {}),
        ("bad-request", {"array": "none.npy"}),
        ("bad-request", {"array": "../../etc/passwd"}),
        ("bad-request", {"array": str(folder / "in-text.npy")}),
        ("bad-request", {"array": "lock"}),
        ("bad-request", {"array": "in-link.npy"}),
        ("bad-request", {"array": "in-folder.npy"}),
        ("bad-request", {"array": "in-text.npy"}),
        ("bad-request", {"array": "in-lies.npy"}),
        ("bad-request", {"array": "in-pickle.npy"}),
        ("bad-request", {"array": 7}),
        ("bad-request", {**array(dark), "value_range": [3, 3]}),
        ("bad-request", {**array(dark), "value_range": [0]}),
        ("bad-request", {**array(dark), "brightness": 2}),
        ("bad-request", {**array(dark), "denoise": "much"}),
        ("bad-request", {**array(dark), "engine": "steam"}),
        ("bad-request", {**array(dark), "frames": 1}),
        ("bad-request", {**array(dark), "maps": ["moon"]}),
        ("incompatible", {**array(dark), "device": "cuda:7", "engine": "onnx"}),
    ]
    for kind, fields in bad:
        error = worker.ask("enhance", **fields)
        assert (error["type"], error.get("kind")) == ("error", kind), (fields, error)
        assert error["message"].endswith("."), error
        assert "Traceback" not in error["message"]
    lines = [b"nonsense\n", b"\xff\xfe\n", b"[1]\n", b'{"type": "enhance"}\n', b'{"id": true, "type": "quit"}\n']
    lines += [b"[" * 100_000 + b"\n", b'{"id": 1, "x": NaN}\n', b"x" * (LONGEST_LINE + 100) + b"\n"]
    for line in lines:
        worker.send_bytes(line)
        assert worker.answer(None)["kind"] == "bad-request", line[:40]
    worker.send_bytes(b'{"id": 77}\n')
    assert worker.answer(77)["kind"] == "bad-request"
    assert worker.ask("dance")["kind"] == "bad-request"
    assert worker.ask("blend", result="r999")["kind"] == "no-result"
    good = worker.enhance(dark)
    assert good["type"] == "result"
    worker.take(good["image"])
    (folder / "in-folder.npy").rmdir()
    for path in folder.glob("in-*"):
        path.unlink()


def test_every_file_was_read_and_removed(worker: Worker, dark: np.ndarray) -> None:
    before = set(worker.folder.iterdir())
    answer = worker.enhance(dark, maps=["gain"], mask=worker.put(dark > 0))
    assert len(set(worker.folder.iterdir()) - before) == 2
    for name in (answer["image"], answer["maps"]["gain"]):
        worker.take(name)
    assert set(worker.folder.iterdir()) == before


def test_the_log_names_no_file(worker: Worker) -> None:
    error = worker.ask("export", sources=["/nowhere/Doe^Jane.dcm"], folder="/nowhere/out")
    assert error["kind"] == "unreadable"
    assert "Doe^Jane" in error["message"], "the user has to know which file it was"
    assert b"Doe" not in worker.log
