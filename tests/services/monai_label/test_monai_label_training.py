"""Fine-tuning on the datastore's good images gives a model of its own beside the shipped one."""

from __future__ import annotations

import time

from label_runs import LONGEST, Label

SMALLEST = {"images": "all", "max_epochs": 1, "iterations_per_epoch": 1, "observations": 4, "batch_size": 2}


def test_fine_tuning_gives_a_model_that_enhances(label: Label) -> None:
    before = label.infer("grey", output="json").json()
    assert label.infer("grey", model="lowlight_finetuned").status_code == 404
    (label.studies / "broken.png").unlink()
    (label.studies / "ct.dcm").unlink()
    label.answer("POST", "/train/lowlight_finetuned", json=SMALLEST)
    deadline = time.monotonic() + LONGEST
    while (task := label.answer("GET", "/train/"))["status"] not in ("DONE", "ERROR"):
        assert time.monotonic() < deadline, task
        time.sleep(0.5)
    assert task["status"] == "DONE", task
    after = label.infer("grey", model="lowlight_finetuned", output="json").json()
    assert after["weights_sha256"] != before["weights_sha256"]
    assert label.infer("grey", output="json").json()["weights_sha256"] == before["weights_sha256"]
    info = label.answer("GET", "/info/")
    assert set(info["models"]) == {"lowlight", "lowlight_finetuned"}
    assert info["train_stats"]["lowlight_finetuned"]["images"] >= 10


def test_too_few_good_images_are_no_ground_for_training(label: Label) -> None:
    response = label.ask("POST", "/train/lowlight_finetuned", json={"images": "undamaged"})
    assert response.status_code == 409
    assert "better 20 to 50" in response.json()["detail"]
