"""What each part of the recipe is worth on validation, at a small budget: one change at a time, from one start.

    python benchmarks/ablation.py tone --data SHARED/data --work runs/ablation --observations observations.pt
    python benchmarks/ablation.py denoise --data SHARED/data --work runs/ablation --observations observations.pt \
        --tone runs/tone/model.pt
    python benchmarks/ablation.py cells --data SHARED/data --work runs/ablation

Runs the bundle's own stages in processes of their own with settings overridden; a run that has ended is not run again.
`--seeds 3` repeats each with other seeds: do so where it is close. --observations names the file that configs/tone.yaml
left; every run learns from the same ones. For "cells" 4,000 are simulated for each row, from the same seed, since they
hold what the tone path has seen. Scored on the validation images at 384 px, each at one severity: the tone path without
a denoise path, so with the same noise in all rows.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from collection import print_table

from lowlight.bundle import bundle_root
from lowlight.model.network import DualPathNet
from lowlight.training.handlers import export_weights, load_tone

TONE: dict[str, dict[str, object]] = {
    "as configured": {},
    "dropout 0.5": {"network_def#tone_dropout": 0.5},
    "no dropout": {"network_def#tone_dropout": 0.0},
    "frame-wide curve only (1 control)": {"network_def#tone_controls": 1},
    "4 x 4 controls": {"network_def#tone_controls": 4},
    "MSE and absolute error beside log-MSE": {"loss#mse": 4.0, "loss#absolute": 1.0},
    "MSE and absolute error, hardly any log-MSE": {"loss#mse": 4.0, "loss#absolute": 1.0, "loss#log_mse": 0.05},
    "MSE alone": {"loss#mse": 4.0, "loss#log_mse": 0.0},
    "wider (24, 48, 96)": {"network_def#tone_widths": "[24,48,96]"},
    "narrower (8, 16, 32)": {"network_def#tone_widths": "[8,16,32]"},
    "no moving average": {"ema_momentum": 0.999},
    "weight decay 0.1": {"weight_decay": 0.1},
}

DENOISE: dict[str, dict[str, object]] = {
    "as configured": {},
    "without fitted MSE": {"loss#fitted": 0.0},
    "without SSIM": {"loss#ssim": 0.0},
    "SSIM x 2": {"loss#ssim": 0.5},
    "without perceptual": {"loss#perceptual": 0.0},
    "without MSE": {"loss#mse": 0.0},
    "without likelihood": {"loss#likelihood": 0.0},
    "without log-MSE": {"loss#log_mse": 0.0},
    "without detail": {"loss#detail": 0.0},
    "no moving average": {"ema_momentum": 0.999},
    "moving average of training (0.002)": {"ema_momentum": 0.002},
    "narrower (16, 32, 48)": {"network_def#denoise_widths": "[16,32,48]"},
    "wider (32, 48, 80)": {"network_def#denoise_widths": "[32,48,80]"},
    "one block a level": {"network_def#denoise_blocks": "[1,1,1]"},
    "two blocks more": {"network_def#denoise_blocks": "[2,3,3]"},
}

CELLS: dict[str, dict[str, object]] = {
    "32 x 32 cells": {},
    "64 x 64 cells": {"network_def#tone_size": 64},
    "64 x 64 cells, four levels": {"network_def#tone_size": 64, "network_def#tone_widths": "[8,16,32,64]"},
    "128 x 128 cells, five levels": {"network_def#tone_size": 128, "network_def#tone_widths": "[8,12,16,32,64]"},
}

BUDGET: dict[str, dict[str, object]] = {
    "tone": {"max_epochs": 4, "iterations_per_epoch": 250},
    "cells": {"max_epochs": 4, "iterations_per_epoch": 250, "observations": 4000},
    # Averaged over 50 iterations: the average of a whole training would still hold the untrained path.
    "denoise": {"max_epochs": 3, "iterations_per_epoch": 200, "ema_momentum": 0.02},
}


def run(stage: str, output: Path, settings: dict[str, object]) -> dict[str, float]:
    """Train for the small budget; the last validation's metrics."""
    log = output / "log.txt"
    if not (log.is_file() and "Engine run finished" in log.read_text()):
        config = "tone" if stage == "cells" else stage
        files = f"['configs/train.yaml','configs/observations.yaml','configs/{config}.yaml']"
        command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", files]
        for name, value in settings.items():
            command += [f"--{name.replace('#', '::')}", str(value)]
        output.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(bundle_root())}
        with log.open("w") as stream:
            subprocess.run(command, cwd=bundle_root(), stdout=stream, stderr=stream, check=True, env=environment)
    found = re.findall(r"(val_psnr|val_ssim|psnr_light|psnr_medium|psnr_heavy): ([0-9.]+)", log.read_text())
    return {name: float(value) for name, value in found}


def start(output: Path, tone: Path, settings: dict[str, object]) -> Path:
    """Weights to start the denoise stage from: a trained tone path beside an untrained path of the stated size."""
    sizes = {
        name.partition("#")[2]: ast.literal_eval(str(value)) for name, value in settings.items() if "_def#" in name
    }
    torch.manual_seed(0)
    network = DualPathNet(**sizes)
    load_tone(network, tone)
    output.mkdir(parents=True, exist_ok=True)
    export_weights(network, output / "start.pt")
    return output / "start.pt"


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("tone", "denoise", "cells"))
    parser.add_argument("--data", type=Path, required=True, help="folder that holds train/ and val/")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is trained")
    parser.add_argument("--observations", type=Path, help="file that configs/tone.yaml left")
    parser.add_argument("--tone", type=Path, help="model.pt of the tone stage, for the denoise stage")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="+", help="names of changes; default: all")
    chosen = parser.parse_args()
    changes = {"tone": TONE, "denoise": DENOISE, "cells": CELLS}[chosen.stage]
    simulated: dict[str, object] = {}
    if chosen.stage == "cells" and chosen.observations is not None:
        parser.error("cells simulates its own observations")
    if chosen.observations is not None:
        made = torch.load(chosen.observations, weights_only=True, mmap=True)
        simulated = {
            "observations_file": chosen.observations.resolve(),
            "observations": made["count"],
            "observations_seed": made["seed"],
        }
    elif chosen.stage != "cells":
        parser.error("--observations is needed")
    rows = []
    for name, settings in changes.items():
        if chosen.only and name not in chosen.only:
            continue
        folder = re.sub(r"\W+", "_", name).strip("_")
        found = []
        for seed in range(chosen.seeds):
            output = chosen.work.resolve() / chosen.stage / f"{folder}_{seed}"
            fixed = {
                "dataset_dir": chosen.data.resolve(),
                "output_dir": output,
                **simulated,
                "seed": seed + 1,
                "val_interval": BUDGET[chosen.stage]["max_epochs"],
            }
            if chosen.stage == "denoise" and chosen.tone:
                fixed["initial_weights"] = start(output, chosen.tone, settings)
            found.append(run(chosen.stage, output, {**fixed, **BUDGET[chosen.stage], **settings}))
        columns = sorted(found[0])
        rows.append([name, *(f"{np.mean([one[key] for one in found]):.3f}" for key in columns)])
        print(rows[-1], flush=True)
    print_table(f"Ablation of the {chosen.stage} stage", ["change", *columns], rows)


if __name__ == "__main__":
    main()
