"""Both engines give the same on the whole benchmark."""

from pathlib import Path

import numpy as np
import pytest

from lowlight import Enhancer
from lowlight.enhance.enhancer import frames_to_display
from lowlight.imaging import collect, read

pytestmark = pytest.mark.acceptance


def test_onnx_differs_from_torch_by_at_most_a_ten_thousandth_of_the_range(shared: Path) -> None:
    engines = [Enhancer(device="cpu", engine=name).engine for name in ("onnx", "torch")]
    found = {}
    for item in collect([shared / "bench" / "dark"]):
        image = read(item.path)
        display = frames_to_display(image.pixels, image.value_range, image.frames)
        ((first,), (second,)) = (engine.predict(display, None) for engine in engines)
        parts = ("residual", "log_gain", "log_gamma")
        found[str(item.relative)] = max(np.abs(getattr(first, name) - getattr(second, name)).max() for name in parts)
    assert len(found) == 180
    worst = max(found, key=lambda name: found[name])
    assert found[worst] <= 1e-4, (worst, found[worst])
