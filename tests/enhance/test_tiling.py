"""How a frame is cut into parts: whole coverage, on the network's grid, as few and as equal as can be."""

import numpy as np
import pytest

from lowlight.enhance.tiling import Tiling


@pytest.mark.parametrize(("height", "width"), [(1729, 40), (2048, 2048), (3328, 4096), (1737, 5003), (4097, 3001)])
@pytest.mark.parametrize("tiling", [Tiling(), Tiling().frugal])
def test_cores_cover_the_frame_once_and_begin_on_the_grid(tiling: Tiling, height: int, width: int) -> None:
    covered = np.zeros((height, width), np.uint8)
    for core, seen in tiling.parts(height, width, stride=8):
        covered[core] += 1
        for inner, outer, length in zip(core, seen, (height, width), strict=True):
            assert inner.start % 8 == outer.start % 8 == 0
            assert inner.stop - inner.start <= tiling.tile or outer == slice(0, length)
            assert outer.stop - outer.start <= tiling.tile + 2 * tiling.halo
            assert outer.start == max(0, inner.start - tiling.halo)
            assert outer.stop == min(length, inner.stop + tiling.halo)
    assert (covered == 1).all()


def test_parts_are_few_and_equal() -> None:
    sides = {core[1].stop - core[1].start for core, _ in Tiling(tile=1536).parts(100, 4096, stride=8)}
    assert sides == {1368, 1360}


def test_what_fits_with_its_halo_is_not_cut() -> None:
    assert len(Tiling(tile=1536, halo=96).parts(1728, 1728)) == 1
    assert len(Tiling(tile=1536, halo=96).parts(1729, 1728)) == 2
