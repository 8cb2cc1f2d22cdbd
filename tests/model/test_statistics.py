"""What the tone path is told about a whole frame besides its picture."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from lowlight.model.statistics import BLOCK, EXTREMES, FrameStatistics, _largest, cosine_basis, ranked

DETAIL = BLOCK * BLOCK - 1


@pytest.fixture
def statistics() -> FrameStatistics:
    return FrameStatistics().eval()


def frame_of(grey: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(grey.astype(np.float32) / 255)[None, None].expand(1, 3, -1, -1)


def noisy_scene(sigma: float) -> np.ndarray:
    random = np.random.RandomState(0)
    ramp = np.linspace(40, 200, 96)[None, :] * np.ones((96, 1))
    return np.clip(ramp + random.normal(0, sigma, ramp.shape), 0, 255).round().astype(np.uint8)


def through_jpeg(grey: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def test_the_cosines_are_orthonormal() -> None:
    basis = cosine_basis().reshape(BLOCK * BLOCK, -1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(BLOCK * BLOCK), atol=1e-5, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40, 200, 1000, 65025])
@pytest.mark.parametrize("largest", [True, False])
def test_ranked_values_are_those_of_a_full_sort(count: int, largest: bool) -> None:
    values = torch.rand(2, 3, count, generator=torch.Generator().manual_seed(count)).mul(200).round()
    ordered = values.sort(dim=-1, descending=largest).values
    places = [min(int(share * count), count - 1) for share in EXTREMES]
    assert torch.equal(ranked(values, EXTREMES, largest=largest), ordered[..., places])


@pytest.mark.parametrize(("height", "width"), [(4, 4), (6, 9), (17, 40), (64, 63)])
@pytest.mark.parametrize(("side", "step"), [(3, 1), (4, 4)])
def test_the_largest_of_squares_are_those_of_a_pool(height: int, width: int, side: int, step: int) -> None:
    image = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(height))
    assert torch.equal(_largest(image, side, step), functional.max_pool2d(image, side, step))


def test_jpeg_shows_in_the_share_of_zeros(statistics: FrameStatistics) -> None:
    zeros = slice(2 * DETAIL, 4 * DETAIL)
    shares = [
        float(statistics.measure(frame_of(image))[:, zeros].mean())
        for image in (noisy_scene(6), through_jpeg(noisy_scene(6), 90), through_jpeg(noisy_scene(6), 50))
    ]
    assert shares[0] < shares[1] < shares[2]


def test_noise_shows_in_the_energies(statistics: FrameStatistics) -> None:
    energies = [float(statistics.measure(frame_of(noisy_scene(sigma)))[:, : 2 * DETAIL].mean()) for sigma in (1, 4, 16)]
    assert energies[0] < energies[1] < energies[2]


def test_the_brightest_places_tell_the_gain_and_impulses_do_not(statistics: FrameStatistics) -> None:
    lamp = torch.full((1, 3, 64, 64), 0.2)
    lamp[..., 20:28, 30:38] = 1.0
    brightest = [float(torch.exp(statistics.measure(gain * lamp)[0, -48]) - 0.02) for gain in (1.0, 0.5)]
    assert brightest == pytest.approx([1.0, 0.5], abs=1e-4)
    salted = 0.5 * lamp
    salted[..., ::9, ::7] = 1.0
    torch.testing.assert_close(statistics.measure(salted)[:, -48:-40], statistics.measure(0.5 * lamp)[:, -48:-40])


def test_the_calmest_blocks_tell_noise_from_texture(statistics: FrameStatistics) -> None:
    # Half of the frame is striped, at one brightness with the rest.
    calm = slice(4 * DETAIL + 4, 4 * DETAIL + 4 + 32)
    stripes = np.full((128, 128), 120.0)
    stripes[::2, 64:] += 40
    stripes[1::2, 64:] -= 40
    random = np.random.RandomState(0)

    def energy(sigma: float) -> np.ndarray:
        noisy = stripes + random.normal(0, sigma, stripes.shape)
        measured = statistics.measure(frame_of(noisy.clip(0, 255).round().astype(np.uint8)))
        # band, brightness, (calmest, typical); the highest band in the middle brightnesses
        return measured[0, calm].reshape(4, 4, 2)[3, 1:3].mean(0).numpy()

    quiet, noisy = energy(1.0), energy(6.0)
    assert noisy[0] > quiet[0] + 0.5


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (8, 8), (70, 41), (5, 300)])
def test_frames_of_any_size_and_without_light_have_finite_statistics(
    statistics: FrameStatistics, shape: tuple[int, int]
) -> None:
    for value in (0.0, 0.5, 1.0):
        found = statistics(statistics.measure(torch.full((2, 3, *shape), value)))
        assert found.shape == (2, FrameStatistics.count)
        assert torch.isfinite(found).all()


def test_a_frame_is_judged_without_its_neighbours_even_in_training() -> None:
    statistics = FrameStatistics()
    statistics.train()
    for _ in range(5):
        statistics(statistics.measure(torch.rand(4, 3, 32, 32)))
    statistics.eval()
    frames = torch.rand(2, 3, 40, 40)
    alone, together = (statistics(statistics.measure(part)) for part in (frames[:1], frames))
    torch.testing.assert_close(together[:1], alone)


def dim_frames() -> torch.Tensor:
    return torch.rand(8, 3, 32, 32) * torch.rand(8, 1, 1, 1)


@pytest.mark.parametrize("at_once", [False, True])
def test_training_learns_mean_and_spread(at_once: bool) -> None:
    statistics = FrameStatistics()
    torch.manual_seed(0)
    seen = [statistics.measure(dim_frames()) for _ in range(50)]
    if at_once:
        statistics.learn(torch.cat(seen))
    else:
        for measured in seen:
            statistics(measured)
    statistics.eval()
    found = torch.cat([statistics(statistics.measure(dim_frames())) for _ in range(50)])
    assert float(found.mean(0).abs().max()) < 0.5
    energies = found[:, : 2 * DETAIL].std(0)
    assert float(energies.min()) > 0.5
    assert float(energies.max()) < 1.5


def test_mean_and_spread_stay_once_they_are_learned() -> None:
    statistics = FrameStatistics(memory=3)
    for _ in range(3):
        statistics(statistics.measure(torch.rand(4, 3, 32, 32)))
    mean, spread = statistics.mean.clone(), statistics.spread.clone()
    statistics(statistics.measure(torch.rand(4, 3, 32, 32) / 10))
    assert torch.equal(statistics.mean, mean)
    assert torch.equal(statistics.spread, spread)
