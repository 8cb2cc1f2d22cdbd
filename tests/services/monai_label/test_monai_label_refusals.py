"""What cannot be granted gets its reason, reaches nothing beyond the folder, and leaves no trace of patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
from label_runs import Label

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("model", "image", "params", "status", "reason"),
    [
        ("lowlight", "/etc/passwd", {}, 400, "not by a path"),
        ("lowlight", "../studies/grey", {}, 400, "not by a path"),
        ("lowlight", "C:\\images\\grey", {}, 400, "not by a path"),
        ("lowlight", "grey.png", {}, 404, "no such image"),
        ("lowlight", "", {}, 404, "no such image"),
        ("lowlight", "grey", {"image": "/etc/passwd"}, 400, "not by a path"),
        ("lowlight", "grey", {"model": "deepedit"}, 404, "no such model"),
        ("deepedit", "grey", {}, 404, "no such model"),
        ("lowlight_finetuned_twice", "grey", {}, 404, "no such model"),
        ("lowlight", "grey", {"brightness": 2}, 400, "outside 0 to 1.5"),
        ("lowlight", "grey", {"denoise": "much"}, 400, "no number"),
        ("lowlight", "grey", {"brigthness": 1}, 400, "no option"),
        ("lowlight", "grey", {"modality": "mri"}, 400, "none of xray"),
        ("lowlight", "grey", {"save_label": True, "label_tag": "../../x"}, 400, "tag"),
        ("lowlight", "ct", {}, 422, "any_modality"),
        ("lowlight", "broken", {}, 422, "damaged or incomplete"),
    ],
)
def test_a_wrong_request_for_an_image_gets_its_reason(
    label: Label, model: str, image: str, params: dict[str, Any], status: int, reason: str
) -> None:
    fields = {"params": json.dumps(params)}
    response = label.ask("POST", f"/infer/{model}", params={"image": image, "output": "image"}, data=fields)
    assert response.status_code == status, response.text
    assert reason in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/infer/lowlight?image=grey", {"data": {"params": "no JSON"}}, 400),
        ("POST", "/infer/lowlight?image=grey", {"data": {"params": "[1]"}}, 400),
        ("POST", "/infer/lowlight?image=grey&output=dicom_seg", {}, 400),
        ("POST", "/infer/lowlight?image=grey&output=soup", {}, 422),
        ("POST", "/activelearning/nobody", {}, 404),
        ("POST", "/activelearning/most_damaged", {"json": {"seconds": -1}}, 400),
        ("POST", "/train/nobody", {}, 404),
        ("POST", "/train/lowlight_finetuned", {"json": {"max_epochs": 0}}, 400),
        ("GET", "/datastore/image?image=/etc/passwd", {}, 404),
        ("GET", "/datastore/image/info?image=nobody", {}, 404),
        ("GET", "/datastore/label?label=grey&tag=../..", {}, 404),
        ("GET", "/datastore/label/info?label=grey&tag=nobody", {}, 404),
        ("PUT", "/datastore/label/info?label=grey&tag=nobody", {"data": {"info": "{}"}}, 404),
        ("PUT", "/datastore/label/info?label=grey&tag=nobody", {"data": {"info": "no JSON"}}, 400),
        ("PUT", "/datastore/image/info?image=nobody", {"data": {"info": "{}"}}, 404),
        ("PUT", "/datastore/label?image=grey&tag=../../x", {"files": {"label": ("a.png", PNG)}}, 400),
        ("PUT", "/datastore/label?image=nobody&tag=x", {"files": {"label": ("a.png", PNG)}}, 404),
        ("PUT", "/datastore/label?image=grey&tag=x", {"files": {"label": ("a.exe", b"MZ")}}, 415),
        ("PUT", "/datastore/?image=../x", {"files": {"file": ("a.png", PNG)}}, 400),
        ("PUT", "/datastore/?image=grey", {"files": {"file": ("a.png", PNG)}}, 409),
        ("PUT", "/datastore/?image=new", {"files": {"file": ("a.png", b"no image")}}, 415),
        ("DELETE", "/datastore/?id=grey", {}, 405),
        ("DELETE", "/datastore/label?id=grey&tag=nobody", {}, 404),
        # What this app does not serve.
        ("GET", "/proxy/dicom/studies", {}, 404),
        ("GET", "/logs/", {}, 404),
        ("PUT", "/session/", {"files": {"files": ("a.png", PNG)}}, 404),
        ("POST", "/batch/infer/lowlight", {}, 404),
        # Pages of other sites, under their name or through a name of their own for this address.
        ("GET", "/info/", {"headers": {"Origin": "https://example.org"}}, 403),
        ("GET", "/info/", {"headers": {"Host": "example.org"}}, 421),
    ],
)
def test_other_wrong_requests_get_their_reason(
    label: Label, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    response = label.ask(method, path, **options)
    assert response.status_code == status, response.text
    assert response.json()["detail"]


def test_nothing_is_written_beside_the_folder(label: Label) -> None:
    assert {path.name for path in label.studies.parent.iterdir()} == {"studies", "app", "log"}
    assert not list(Path("/tmp").glob("x.png"))


def test_the_server_listens_on_loopback_alone(label: Label) -> None:
    listening = [one.laddr for one in psutil.Process(label.process.pid).net_connections() if one.status == "LISTEN"]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", label.port)]


def test_the_log_names_no_patient(label: Label) -> None:
    assert label.infer("Mustermann-Erika").status_code == 200
    label.infer("Mustermann-Erik")
    path = "/datastore/label?image=Mustermann-Erika&tag=Mustermann"
    fields = {"params": json.dumps({"rating": 2, "comment": "Mustermann is worse"})}
    label.answer("PUT", path, files={"label": ("Mustermann.png", PNG)}, data=fields)
    label.answer("POST", "/activelearning/most_damaged", json={"tag": "Mustermann"})
    label.answer("GET", "/datastore/?output=all")
    assert label.infer("radiograph").status_code == 200
    assert "POST /infer/{model} 200" in label.log
    for name in ("Mustermann", "radiograph", "grey", str(label.studies)):
        assert name not in label.log
    assert not [file for file in label.app.glob("logs/*") if "Mustermann" in file.read_text()]
