"""What fine-tuning brings to a new kind of image: with one modality left out, and then learned from a few images.

    python benchmarks/transfer_learning.py --data SHARED/data --work runs/transfer [--modality fundus]

Runs the bundle's own workflows in processes of their own (configs/tone.yaml, pretrain.yaml, finetune.yaml); what is in
--work already is not run again. Trained in turn:

- "left out": the tone path from scratch, on all modalities but one;
- "photographs": the same on photographs alone (pretrain.yaml);
- each of these and an untrained one, fine-tuned with finetune.yaml at one budget, on many and on few images of the
  modality, whose name the training is not told.

Scored are images that no run has seen: those of val/, and of the modality what was not trained on. The figure is the
PSNR of brightness: T(y) against the truth, both averaged over 8 x 8 px, since the tone path alone is trained. Frames of
384 px; the modality at three severities, the others at one each.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from collection import SEVERITIES, print_table
from torch.nn import functional

from lowlight.bundle import bundle_root
from lowlight.imaging.transforms import ReadImage
from lowlight.model.features import MODALITIES
from lowlight.model.network import DualPathNet, split_prediction
from lowlight.training.datalist import load_datalist, with_severities
from lowlight.training.handlers import export_weights, load_weights
from lowlight.training.transforms import FixedLowLightd, LongestSided, ThreeChannelsd

FRAME = 384
BLOCK = 8
STAGE = ("train", "observations", "tone")


def train(output: Path, dataset: Path, *more: str, settings: dict[str, object]) -> Path:
    """Run the tone stage with further configuration files; the model.pt that it leaves."""
    model = output / "model.pt"
    if model.is_file():
        return model
    files = ",".join(f"'configs/{name}.yaml'" for name in (*STAGE, *more))
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", f"[{files}]"]
    for name, value in {"dataset_dir": dataset, "output_dir": output, "val_interval": 1000, **settings}.items():
        command += [f"--{name}", str(value)]
    output.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(bundle_root())}
    with (output / "log.txt").open("w") as log:
        subprocess.run(command, cwd=bundle_root(), stdout=log, stderr=log, check=True, env=environment)
    last = max(output.glob("checkpoint_epoch=*.pt"), key=lambda path: path.stat().st_mtime)
    network = DualPathNet()
    network.load_state_dict(torch.load(last, map_location="cpu", weights_only=True)["averaged"])
    export_weights(network, model)
    (output / "observations.pt").unlink(missing_ok=True)
    return model


def folder_of(work: Path, name: str, images: list[str], held_out: list[str]) -> Path:
    """A dataset as a user with a new kind of image has it: train/ and val/, no modality's name anywhere."""
    folder = work / "images" / name
    for section, files in (("train", images), ("val", held_out)):
        target = folder / section
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(file, target / f"image_{Path(file).name.rsplit('_', 1)[-1]}")
    return folder


@torch.inference_mode()
def brightness(model: Path | None, items: list[dict[str, str]]) -> float:
    """Mean PSNR in dB of brightness over items that name image, modality and severity."""
    torch.manual_seed(0)
    network = DualPathNet().eval()
    if model is not None:
        load_weights(network, model)
    read, smaller = ReadImage(full_range_16bit="own_maximum"), LongestSided("image", FRAME)
    found = []
    for item in items:
        seen = smaller({**item, "name": item["image"], "image": read(item["image"]).clamp(0, 1)})
        seen = ThreeChannelsd(["image", "label"])(FixedLowLightd("image")(seen))
        observed, truth = (torch.as_tensor(seen[key])[None].float() for key in ("image", "label"))
        parts = split_prediction(network(observed))
        toned = (parts.enhanced - parts.residual).clamp(0, 1)
        error = functional.avg_pool2d(toned, BLOCK) - functional.avg_pool2d(truth, BLOCK)
        found.append(-10 * float(torch.log10(error.square().mean() + 1e-6)))
    return float(np.mean(found))


def main() -> None:
    """Train, score and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds train/ and val/")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is trained")
    parser.add_argument("--modality", default="fundus", choices=MODALITIES)
    parser.add_argument("--images", type=int, default=20, help="of the modality to fine-tune with")
    parser.add_argument("--few", type=int, default=4, help="the same, where there are few")
    parser.add_argument("--observations", type=int, default=8000, help="from which the starting points are trained")
    parser.add_argument("--pull", type=float, nargs="+", default=[0.06], help="of finetune.yaml")
    chosen = parser.parse_args()
    work = chosen.work.resolve()

    own = [item["image"] for item in load_datalist(chosen.data, "train", modalities=[chosen.modality])]
    order = np.random.RandomState(0).permutation(len(own))
    learned = [own[index] for index in order[: chosen.images]]
    held_out = load_datalist(chosen.data, "val", modalities=[chosen.modality])
    unseen = [{"image": own[index], "modality": chosen.modality} for index in order[chosen.images :]] + held_out
    new = [{**item, "severity": severity} for item in unseen for severity in SEVERITIES]
    rest = [item for item in load_datalist(chosen.data, "val") if item["modality"] != chosen.modality]
    others = with_severities(rest, every=False)

    known = [name for name in MODALITIES if name != chosen.modality]
    base = {"observations": chosen.observations, "max_epochs": 6, "patches_per_frame": 1}
    starts: dict[str, Path | None] = {
        "from scratch": None,
        "left out": train(work / "left_out", chosen.data, settings={**base, "modalities": known}),
        "photographs": train(work / "photographs", chosen.data, "pretrain", settings=base),
    }
    datasets = {
        count: folder_of(work, str(count), learned[:count], [item["image"] for item in held_out])
        for count in (chosen.images, chosen.few)
    }
    before = {name: (brightness(start, new), brightness(start, others)) for name, start in starts.items()}
    rows = []
    for name, start in starts.items():
        pulls = chosen.pull if name == "left out" else [0.0]
        for count, pull in ((count, pull) for count in datasets for pull in pulls):
            # From scratch nothing is worth staying near to, and the usual rate is needed.
            settings = {"initial_weights": start or "$None", "pull": pull, "patches_per_frame": 1}
            if start is None:
                settings |= {"learning_rate": 0.002}
            label = f"{name}_{count}_{pull}".replace(" ", "_")
            model = train(work / label, datasets[count], "finetune", settings=settings)
            after = brightness(model, new), brightness(model, others)
            changes = [
                f"{was:.2f} -> {now:.2f} ({now - was:+.2f})" for was, now in zip(before[name], after, strict=True)
            ]
            rows.append([name, str(count), f"{pull:g}", *changes])
            print(rows[-1], flush=True)
    columns = ["start", f"{chosen.modality} images", "pull", f"{chosen.modality}, dB", "the others, dB"]
    print_table(
        f"PSNR of brightness before and after fine-tuning, {len(new)} and {len(others)} observations", columns, rows
    )


if __name__ == "__main__":
    main()
