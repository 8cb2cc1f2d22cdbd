"""The stages, tone.yaml, denoise.yaml and details.yaml, one after the other as a user runs them."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from bundle_runs import BUNDLE, TRAINING, monai_bundle, run

from lowlight.model.network import DualPathNet


def weights(file: Path) -> dict[str, torch.Tensor]:
    """The state dict in a model.pt of the shipped architecture."""
    state: dict[str, torch.Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    DualPathNet().load_state_dict(state)
    assert all(bool(tensor.isfinite().all()) for tensor in state.values())
    return state


def test_the_tone_path_is_trained_alone_then_the_denoise_path_under_it(images: Path, tmp_path: Path) -> None:
    def stage(name: str, *options: str | Path, after: tuple[str, ...] = ()) -> str:
        stages = ",".join(f"'configs/{part}.yaml'" for part in ("train", "observations", *after, name))
        command = monai_bundle("training", "--config_file", f"[{stages}]")
        command += ["--dataset_dir", images, "--output_dir", tmp_path / name, *TRAINING, *options]
        return run(command, tmp_path / "log.txt").succeeded()

    simulating = ("--observations", "12", "--frame_sizes", "[48,64]", "--num_workers", "1")
    simulating += ("--observations_file", str(tmp_path / "observations.pt"))
    output = stage("tone", *simulating, "--max_epochs", "1", "--damage#iterations", "50")
    assert "12 of 12 observations simulated." in output
    assert "loss_log_mse" in output
    assert len(re.findall(r"Epoch\[\d+\] Metrics -- .*val_psnr", output)) == 1
    first = weights(tmp_path / "tone" / "model.pt")

    output = stage("tone", *simulating, "--max_epochs", "2")
    assert "12 observations read from" in output
    assert "checkpoint_epoch=1.pt: 1 of 2 epochs are done." in output
    assert [path.name for path in (tmp_path / "tone").glob("checkpoint*")] == ["checkpoint_epoch=2.pt"]
    state = torch.load(tmp_path / "tone" / "checkpoint_epoch=2.pt", map_location="cpu", weights_only=True)
    changed = {name for name in first if not torch.equal(first[name], state["network"][name])}
    trained = {f"tone.{name}" for name, _ in DualPathNet().tone.named_parameters()}
    # Two iterations at a rate that is still warming up move most weights, not all.
    assert changed <= trained
    assert len(changed) > len(trained) / 2
    tone = weights(tmp_path / "tone" / "model.pt")

    stage("denoise", *simulating, "--initial_weights", tmp_path / "tone" / "model.pt", "--max_epochs", "2")
    state = torch.load(tmp_path / "denoise" / "checkpoint_epoch=2.pt", map_location="cpu", weights_only=True)
    for found in (weights(tmp_path / "denoise" / "model.pt"), state["network"], state["averaged"]):
        assert all(torch.equal(found[name], tone[name]) for name in tone if name.startswith("tone."))
    assert any(not torch.equal(state["network"][name], tone[name]) for name in tone if name.startswith("denoise."))

    before = tmp_path / "denoise" / "model.pt"
    output = stage("details", *simulating, "--initial_weights", before, "--max_epochs", "1", after=("denoise",))
    assert all(f"loss_{term}" in output for term in ("lost", "invented", "drift", "contrast"))
    state = torch.load(tmp_path / "details" / "checkpoint_epoch=1.pt", map_location="cpu", weights_only=True)
    start, mean = weights(before), weights(tmp_path / "details" / "model.pt")
    for name, values in state["averaged"].items():
        torch.testing.assert_close(mean[name], (start[name] + values) / 2)
        assert not name.startswith("tone.") or torch.equal(values, start[name])
    assert any(not torch.equal(mean[name], start[name]) for name in mean)


def test_small_findings_are_taught_to_the_size_fast_from_its_own_weights(images: Path, tmp_path: Path) -> None:
    start = BUNDLE / "models" / "fast.pt"
    stages = ",".join(f"'configs/{name}.yaml'" for name in ("train", "observations", "denoise", "fast", "details"))
    command = monai_bundle("training", "--config_file", f"[{stages}]", "--dataset_dir", images, *TRAINING)
    command += ["--output_dir", tmp_path, "--observations_file", tmp_path / "observations.pt", "--observations", "12"]
    command += ["--frame_sizes", "[48,64]", "--initial_weights", start, "--max_epochs", "1", "--learning_rate", "0.0"]
    run(command, tmp_path / "log.txt").succeeded()
    found, expected = (torch.load(file, weights_only=True) for file in (tmp_path / "model.pt", start))
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)


def test_fine_tuning_moves_the_tone_path_and_holds_it_at_its_start(images: Path, tmp_path: Path) -> None:
    shipped = weights(BUNDLE / "models" / "model.pt")

    def tuned(pull: float) -> dict[str, torch.Tensor]:
        stages = ",".join(f"'configs/{name}.yaml'" for name in ("train", "observations", "tone", "finetune"))
        command = monai_bundle("training", "--config_file", f"[{stages}]", "--dataset_dir", images)
        command += ["--output_dir", tmp_path / str(pull), *TRAINING, "--max_epochs", "1", "--pull", str(pull)]
        command += ["--observations", "12", "--frame_sizes", "[48,64]", "--num_workers", "1"]
        run(command, tmp_path / "log.txt").succeeded()
        # model.pt is the start, where that did better.
        state = torch.load(tmp_path / str(pull) / "checkpoint_epoch=1.pt", map_location="cpu", weights_only=True)
        assert (tmp_path / str(pull) / "model.pt").is_file()
        return dict(state["averaged"])

    free, held = tuned(0.0), tuned(1.0)
    changed = {name for name in shipped if not torch.equal(free[name], shipped[name])}
    assert changed
    assert changed <= {f"tone.{name}" for name, _ in DualPathNet().tone.named_parameters()}
    # The shipped file is a moving average: of equal numbers it is not quite that number.
    for name in shipped:
        torch.testing.assert_close(held[name], shipped[name], rtol=1e-5, atol=1e-7)
