"""The train task: finetune.yaml of the bundle on good images of the datastore, into a bundle of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.tasks.train import TrainTask

from lowlight.bundle import bundle_root
from lowlight.enhance.adopting import adopt
from lowlight.imaging import atomic_path
from lowlight.imaging.filetype import split_suffix
from lowlight.services.monai_label.datastore import RatedDatastore
from lowlight.services.monai_label.proposing import ARTIFACTS, measured
from lowlight.services.monai_label.wishes import Training

CONFIGS = ("train.yaml", "observations.yaml", "tone.yaml", "finetune.yaml")

LEAST = 10
"""Images, one of which is held out; 20 to 50 are better."""

_RECORD = "trained.json"


class FineTuneTask(TrainTask):
    """Fine-tunes the shipped weights, and makes them a bundle beside the app, which an infer task of its own uses.

    Args:
        folder: for the training and the bundle that comes of it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("Fine-tune the tone to good images of the datastore (finetune.yaml)")
        self._folder = folder

    @property
    def bundle(self) -> Path:
        """Folder of the bundle with the newest fine-tuned weights."""
        return self._folder / "bundle"

    def config(self) -> dict[str, Any]:
        """Options, as MONAI Label's clients show them."""
        return Training.shown()

    def stats(self) -> dict[str, Any]:
        """Of the last training that ended well: when, on how many images, with what settings."""
        with suppress(OSError, ValueError):
            return dict(json.loads((self.bundle / _RECORD).read_text(encoding="utf-8")))
        return {}

    @staticmethod
    def check(wishes: Training, datastore: RatedDatastore) -> list[Path]:
        """The images that a training would use.

        Raises:
            HTTPException: 409; there are too few.
        """
        images = _chosen(datastore, wishes)
        if len(images) < LEAST:
            kind = "that are judged undamaged" if wishes.images == "undamaged" else "in all"
            why = f"The datastore holds {len(images)} images {kind}; fine-tuning takes {LEAST}, better 20 to 50."
            raise HTTPException(409, why)
        return images

    def __call__(self, request: dict[str, Any], datastore: RatedDatastore) -> dict[str, Any]:
        """Train to the end; runs in a process of its own, which MONAI Label starts.

        Raises:
            HTTPException: as for `check`. SystemExit: the training failed; its output says why.
        """
        wishes = Training.of(request)
        images = self.check(wishes, datastore)
        run = self._folder / "training"
        shutil.rmtree(run, ignore_errors=True)
        dataset = run / "images"
        dataset.mkdir(parents=True)
        for number, image in enumerate(images):
            _link(image, dataset / f"{number:05d}{split_suffix(image.name)[1]}")
        self._train(run, dataset, wishes)
        self._publish(run / "model.pt", {"images": len(images), "when": int(time.time()), **wishes.settings()})
        shutil.rmtree(run, ignore_errors=True)
        return self.stats()

    def _train(self, run: Path, dataset: Path, wishes: Training) -> None:
        root = bundle_root()
        files = [str(root / "configs" / name) for name in CONFIGS]
        overrides = {"bundle_root": root, "dataset_dir": dataset, "output_dir": run, **wishes.settings()}
        line = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", repr(files)]
        for name, value in overrides.items():
            line += [f"--{name}", str(value)]
        ended = subprocess.run(line, cwd=run, check=False)
        if ended.returncode != 0:
            raise SystemExit(ended.returncode)

    def _publish(self, weights: Path, record: dict[str, Any]) -> None:
        """Make the bundle anew beside the old one, and then take its place."""
        made, old = self._folder / "bundle.new", self._folder / "bundle.old"
        for folder in (made, old):
            shutil.rmtree(folder, ignore_errors=True)
        for part in ("configs", "models"):
            # The graph is of the shipped weights, and takes long to make: torch runs the new ones.
            unfit = shutil.ignore_patterns("__pycache__", "*.onnx")
            shutil.copytree(bundle_root() / part, made / part, ignore=unfit)
        adopt(weights, made)
        with atomic_path(made / _RECORD) as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")
        if self.bundle.exists():
            self.bundle.replace(old)
        made.replace(self.bundle)
        shutil.rmtree(old, ignore_errors=True)


def _chosen(datastore: RatedDatastore, wishes: Training) -> list[Path]:
    images = {image: Path(datastore.get_image_uri(image)) for image in sorted(datastore.list_images())}
    if wishes.images == "all":
        return list(images.values())
    known = {image: datastore.get_image_info(image).get(ARTIFACTS) or measured(path) for image, path in images.items()}
    return [path for image, path in images.items() if known[image].get("undamaged")]


def _link(image: Path, target: Path) -> None:
    try:
        target.symlink_to(image)
    except OSError:
        # Not every system lets everybody make links.
        shutil.copyfile(image, target)
