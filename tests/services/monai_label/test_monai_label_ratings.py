"""Readers rate what they have seen, and are shown the worst image next."""

from __future__ import annotations

import json
from typing import Any

import pytest
from label_runs import Label


def rate(label: Label, image: str, tag: str, **info: Any) -> Any:
    """Keep the enhanced image under a reader's tag, and rate it."""
    label.infer(image, output="json", save_label=True, label_tag=tag)
    path = f"/datastore/label/info?label={image}&tag={tag}"
    return label.ask("PUT", path, data={"info": json.dumps(info)})


def test_a_rating_and_its_comment_are_kept_with_the_enhanced_image(label: Label) -> None:
    assert rate(label, "colour", "anna", rating=4, comment="vessels are easier to follow").status_code == 200
    info = label.answer("GET", "/datastore/label/info?label=colour&tag=anna")
    assert (info["rating"], info["comment"]) == (4, "vessels are easier to follow")
    assert info["params"]["brightness"] == 1.0
    kept = json.loads((label.studies / "datastore_v2.json").read_text())["objects"]["colour"]["labels"]["anna"]
    assert kept["info"]["rating"] == 4
    picture = label.ask("GET", "/datastore/label?label=colour&tag=anna").content
    assert picture == label.infer("colour").content


def test_a_version_that_a_reader_made_is_kept_with_a_rating(label: Label) -> None:
    content = (label.studies / "grey.png").read_bytes()
    fields = {"params": json.dumps({"rating": 1, "comment": ""})}
    path = "/datastore/label?image=grey&tag=bert"
    label.answer("PUT", path, files={"label": ("mine.png", content)}, data=fields)
    assert label.answer("GET", "/datastore/label/info?label=grey&tag=bert")["rating"] == 1
    assert label.ask("GET", "/datastore/label?label=grey&tag=bert").content == content


@pytest.mark.parametrize("info", [{"rating": 0}, {"rating": 6}, {"rating": "good"}, {"rating": True}, {"comment": 3}])
def test_a_rating_that_is_none_is_refused_with_its_reason(label: Label, info: dict[str, Any]) -> None:
    response = rate(label, "grey", "carl", **info)
    assert response.status_code == 400
    assert next(iter(info)) in response.json()["detail"]
    assert "rating" not in label.answer("GET", "/datastore/label/info?label=grey&tag=carl")


def test_the_worst_image_comes_first_and_a_rated_one_no_more(label: Label) -> None:
    proposed: list[str] = []
    damages = []
    for _ in range(4):
        answer = label.answer("POST", "/activelearning/most_damaged", json={"tag": "dora"})
        assert answer["not_measured"] == 0
        proposed.append(answer["id"])
        damages.append(answer["damage"])
        assert rate(label, answer["id"], "dora", rating=3).status_code == 200
    assert proposed[0] == "darkest"
    assert damages == sorted(damages, reverse=True)
    assert len(set(proposed)) == 4
    assert not [image for image in proposed if image.startswith("good")]
    assert "broken" not in proposed


def test_what_was_measured_is_told_with_the_image(label: Label) -> None:
    label.answer("POST", "/activelearning/most_damaged", json={"tag": "nobody"})
    found = label.answer("GET", "/datastore/image/info?image=darkest")["artifacts"]
    assert found["severities"]["exposure"] == "strong"
    assert found["undamaged"] is False
    assert "fault" in label.answer("GET", "/datastore/image/info?image=broken")["artifacts"]


def test_an_image_that_is_sent_can_be_enhanced(label: Label) -> None:
    content = (label.studies / "grey.png").read_bytes()
    name = "1.2.840.99.png"
    assert label.answer("PUT", "/datastore/", files={"file": (name, content)}) == {"image": "1.2.840.99"}
    assert label.infer("1.2.840.99").content == label.infer("grey").content
