"""Frames a second on a graphics card: colour frames of 8 bits from memory to the card, through the network and back.

    python benchmarks/gpu_frames.py [--device cuda] [--frames 200] [--size default]

1920 x 1080 and 3840 x 2160, one at a time, as a camera gives them. Every frame is copied there from pinned memory, gets
its own tone, and the 8-bit result is copied back; copies run beside the network, two frames in flight. The denoise path
computes as in the engine "torch-bfloat16" where the device has units for it, in float32 elsewhere. An absolute figure:
the card's name stands beside it. With --device cpu it shows that it runs, no more.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext

import torch
from measuring import dark_picture, keep
from torch import Tensor

from lowlight.bundle import bundle_root
from lowlight.enhance.definition import Definition
from lowlight.model.network import DualPathNet, split_prediction
from lowlight.model.precision import has_bfloat16
from lowlight.training.handlers import load_weights

SIZES = ((1080, 1920), (2160, 3840))


class OneFrame:
    """The network on one frame (H, W, 3) uint8, on a device; gives the same of the enhanced frame."""

    def __init__(self, network: DualPathNet, device: torch.device) -> None:
        self.network, self.device = network, device

    def __call__(self, frame: Tensor) -> Tensor:
        y = frame.permute(2, 0, 1)[None].float() / 255
        enhanced = split_prediction(self.network(y)).enhanced
        return (enhanced[0].float().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)


def frames_a_second(work: OneFrame, shape: tuple[int, int], count: int) -> float:
    """With transfers, after five frames that do not count."""
    device, on_card = work.device, work.device.type == "cuda"
    source = torch.from_numpy(dark_picture(*shape, colour=True))
    results = [torch.empty_like(source) for _ in range(2)]
    if on_card:
        source, results = source.pin_memory(), [each.pin_memory() for each in results]
    streams = [torch.cuda.Stream() for _ in range(2)] if on_card else [None, None]

    def run(number: int) -> None:
        stream = streams[number % 2]
        with torch.cuda.stream(stream) if stream is not None else nullcontext():
            if stream is not None:
                stream.synchronize()  # its result has been fetched
            there = source.to(device, non_blocking=True)
            results[number % 2].copy_(work(there), non_blocking=True)

    with torch.inference_mode():
        for number in range(min(5, count)):
            run(number)
        if on_card:
            torch.cuda.synchronize()
        started = time.perf_counter()
        for number in range(count):
            run(number)
        if on_card:
            torch.cuda.synchronize()
    return count / (time.perf_counter() - started)


def main() -> None:
    """Measure both sizes and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--size", default="default", choices=("fast", "default"))
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    definition = Definition.of(bundle_root(), chosen.size)
    network = definition.made("network_def")["network_def"]
    load_weights(network, definition.weights_file)
    network = network.eval().to(device)
    if has_bfloat16(device):
        network.denoise.to(dtype=torch.bfloat16, memory_format=torch.channels_last)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    for shape in SIZES:
        rate = frames_a_second(OneFrame(network, device), shape, chosen.frames)
        print(f"{shape[1]} x {shape[0]}, {chosen.size}, {name}: {rate:.1f} frames/s", flush=True)
        keep("frames on a device, with transfer", f"{shape[1]} x {shape[0]}, {chosen.size}, {name}", "frames/s", [rate])


if __name__ == "__main__":
    main()
