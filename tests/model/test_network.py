"""The network keeps its promises whatever its weights are: bounded, monotone, grey stays grey, any size."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from lowlight.enhance.inferer import DualPathInferer
from lowlight.enhance.tiling import Tiling
from lowlight.model.network import SURE_OF_DAMAGE, DualPathNet, local_median, split_prediction, upsampled
from lowlight.model.resampling import area_resize, spline_matrix, spline_resize


@pytest.fixture(scope="module")
def wild() -> DualPathNet:
    """A network with large random weights: what training could at worst arrive at."""
    torch.manual_seed(0)
    network = DualPathNet()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.15)
    return network.eval()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (37, 50), (64, 64), (129, 8)])
def test_any_size_goes_in_and_comes_out(wild: DualPathNet, size: tuple[int, int]) -> None:
    out = wild(torch.rand(2, 3, *size))
    assert out.shape == (2, 9, *size)
    assert torch.isfinite(out).all()


def test_maps_and_residual_stay_within_their_bounds(wild: DualPathNet) -> None:
    parts = split_prediction(wild(torch.rand(4, 3, 80, 64)))
    tone = wild.tone
    for index, found in enumerate((parts.log_gain, parts.log_gamma)):
        reach = tone.half_range[index] + tone.local_bound[index]
        # Between what the path says and no change at all, as sure as it is that the frame is damaged.
        lowest, highest = tone.middle[index] - reach, tone.middle[index] + reach
        assert (found >= min(float(lowest), 0.0) - 1e-5).all()
        assert (found <= max(float(highest), 0.0) + 1e-5).all()
    toned = parts.enhanced - parts.residual
    departure = (toned - local_median(toned)).abs()
    assert (parts.residual.abs() <= wild.denoise.residual_bound + departure + 1e-5).all()
    assert float(parts.residual.abs().max()) > 0.05, "the weights were meant to be wild"


def test_the_local_median_forgets_single_impulses_and_keeps_edges_and_order() -> None:
    ramp = torch.linspace(0, 1, 24).repeat(24, 1)[None, None]
    hit = ramp.clone()
    hit[..., 5::6, 5::6] = 1.9
    hit[..., 2::6, 2::6] = -0.4
    assert float((local_median(hit) - ramp).abs().max()) <= 1.01 / 23, "at most the next pixel's value"
    step = (torch.arange(24) >= 12).float().repeat(24, 1)[None, None]
    assert torch.equal(local_median(step), step)
    image = torch.rand(2, 3, 9, 7)
    torch.testing.assert_close(local_median(image) ** 3, local_median(image**3))


def test_the_denoise_path_can_take_back_an_impulse_beyond_its_bound() -> None:
    network = DualPathNet(residual_bound=0.1)
    torch.nn.init.constant_(network.denoise.exit.conv.bias[20:], 20.0)
    y = torch.full((1, 3, 32, 32), 0.02)
    y[..., 16, 16] = 1.0
    parts = split_prediction(network(y).detach())
    assert float((parts.enhanced - parts.residual)[0, 0, 16, 16]) > 2 * float(parts.enhanced[0, 0, 16, 17])
    torch.testing.assert_close(parts.enhanced[..., 16, 16], parts.enhanced[..., 16, 17], atol=0.01, rtol=0)


def test_upsampling_is_a_convolution_whose_outputs_are_pixels() -> None:
    generator = torch.Generator().manual_seed(1)
    shapes = (2, 5, 7, 9), (12, 5, 1, 1), (12,)
    features, weight, bias = (torch.rand(shape, generator=generator) - 0.5 for shape in shapes)
    expected = functional.pixel_shuffle(functional.conv2d(features, weight, bias), 2)
    torch.testing.assert_close(upsampled(features, weight, bias), expected)


def test_the_tone_is_applied_by_as_much_as_the_frame_is_surely_damaged() -> None:
    torch.manual_seed(2)
    tone = DualPathNet().eval().tone
    last = tone.damage[-1]
    assert isinstance(last, nn.Linear)
    frame = torch.rand(1, 3, 48, 64) * 0.3
    with torch.no_grad():
        untrained = tone(frame)
        assert float(untrained.abs().max()) > 0.3, "an untrained path takes every frame for damaged"
        sizes = []
        for log_odds in (SURE_OF_DAMAGE + 20, SURE_OF_DAMAGE, -20.0):
            nn.init.constant_(last.bias, log_odds)
            sizes.append(tone(frame))
    torch.testing.assert_close(untrained, sizes[0], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(sizes[1], sizes[0] / 2)
    assert float(sizes[2].abs().max()) < 1e-9, "a good frame keeps its tone"


def test_a_frame_that_shows_nothing_keeps_its_tone() -> None:
    torch.manual_seed(3)
    tone = DualPathNet().eval().tone
    for channels in (1, 3):
        frame = torch.rand(1, channels, 40, 40)
        with torch.no_grad():
            found = [float(tone(frame * brightest / 255).abs().max()) for brightest in (0.0, 0.9, 3.5, 40.0)]
            speck = torch.zeros_like(frame)
            speck[..., 20, 20] = 1.0
            assert float(tone(speck).abs().max()) == 0, "an impulse is nothing to be seen"
        assert found[:2] == [0, 0]
        assert min(found[2:]) > 0.3


def test_tone_maps_vary_slowly(wild: DualPathNet) -> None:
    size = 160
    gain = split_prediction(wild(torch.rand(4, 3, size, size))).log_gain
    # A cubic B-spline's slope per control interval is at most the largest difference of neighbouring controls.
    steepest = 2 * float(wild.tone.local_bound[0]) * wild.tone.controls / size
    assert float(gain.diff(dim=-1).abs().max()) <= steepest + 1e-5
    assert float(gain.diff(dim=-2).abs().max()) <= steepest + 1e-5


def test_grey_in_gives_three_equal_channels(wild: DualPathNet) -> None:
    grey = torch.rand(1, 1, 40, 56).expand(-1, 3, -1, -1)
    enhanced = split_prediction(wild(grey)).enhanced
    assert torch.equal(enhanced[:, 0], enhanced[:, 1])
    assert torch.equal(enhanced[:, 0], enhanced[:, 2])


@torch.inference_mode()
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (37, 50), (160, 120)])
def test_one_grey_channel_is_three_equal_ones(size: tuple[int, int]) -> None:
    # Not the wild network: where its sums are a million times their difference, a last digit turns a residual round.
    torch.manual_seed(0)
    network = DualPathNet().eval()
    nn.init.normal_(network.denoise.exit.conv.weight, std=0.2)
    grey = torch.rand(2, 1, *size) ** 2
    one, three = (split_prediction(network(frames)) for frames in (grey, grey.expand(-1, 3, -1, -1)))
    assert one.enhanced.shape == grey.shape
    assert float(one.residual.abs().max()) > 0.01
    for name, found, expected in zip(one._fields, one, three, strict=True):
        assert float((found - expected[:, :1]).abs().max()) <= 1e-5, name


def test_a_grey_image_beside_a_colour_image_in_a_batch_stays_grey(wild: DualPathNet) -> None:
    batch = torch.rand(2, 3, 32, 32)
    batch[0] = batch[0, :1]
    enhanced = split_prediction(wild(batch)).enhanced
    assert torch.equal(enhanced[0, 0], enhanced[0, 2])
    assert not torch.equal(enhanced[1, 0], enhanced[1, 2])


def test_gradients_are_finite_on_an_all_black_image() -> None:
    network = DualPathNet()
    network(torch.zeros(1, 3, 48, 48)).square().sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@torch.inference_mode()
def test_tiles_agree_with_the_whole_frame(wild: DualPathNet) -> None:
    frame = torch.rand(1, 3, 400, 333)
    whole = DualPathInferer(tile=1024)(frame, wild)
    tiled = DualPathInferer(tile=64, halo=96)(frame, wild)
    assert float((whole - tiled).abs().max()) <= 1e-4


@torch.inference_mode()
def test_the_halo_is_as_wide_as_the_network_looks(wild: DualPathNet) -> None:
    network = copy.deepcopy(wild).double()
    tone, grey = torch.full((1, 2, 8, 480), 0.3).double(), torch.tensor([False])
    for column in range(240, 248):
        frame = torch.rand(1, 1, 8, 480).double()
        other = frame.clone()
        other[..., column] = 1 - other[..., column]
        change = network.apply_tone(frame, tone, grey) - network.apply_tone(other, tone, grey)
        changed = change.abs().amax((0, 1, 2)).nonzero()[:, 0]
        assert 32 < (changed - column).abs().max() <= Tiling().halo


@torch.inference_mode()
def test_frames_that_belong_together_share_one_tone(wild: DualPathNet) -> None:
    frames = torch.rand(3, 3, 40, 40) * torch.tensor([0.2, 0.5, 0.9])[:, None, None, None]
    parts = split_prediction(DualPathInferer()(frames, wild))
    assert torch.equal(parts.log_gain[0], parts.log_gain[1])
    assert torch.equal(parts.log_gamma[0], parts.log_gamma[2])


def test_area_resize_averages_whole_blocks() -> None:
    image = torch.rand(2, 3, 48, 80)
    expected = torch.nn.functional.avg_pool2d(image, (6, 10))
    torch.testing.assert_close(area_resize(image, (8, 8)), expected)


def test_area_resize_keeps_the_mean_of_frames_smaller_than_the_grid() -> None:
    image = torch.rand(1, 1, 5, 3)
    torch.testing.assert_close(area_resize(image, (64, 64)).mean(), image.mean())


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_spline_weights_are_a_partition_of_unity(size: int) -> None:
    weights = spline_matrix(size, 8, torch.zeros(1))
    assert weights.shape == (size, 8)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(size))


def test_spline_follows_a_ramp_in_the_middle() -> None:
    ramp = torch.arange(8.0).repeat(8, 1)[None, None]
    found = spline_resize(ramp, (80, 80))[0, 0, 40]
    expected = (torch.arange(80) + 0.5) / 10 - 0.5
    torch.testing.assert_close(found[20:60], expected[20:60], atol=1e-4, rtol=0)


def test_default_network_is_small_enough_for_an_old_laptop() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    network = DualPathNet()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 1024, 1024))
    assert counter.get_total_flops() <= 42e9, "40 GFLOP per megapixel (1024 x 1024 has 1.049)"
    assert 4 * sum(p.numel() for p in network.parameters()) <= 4e6


def test_other_dimensions_are_refused_in_plain_words() -> None:
    with pytest.raises(ValueError, match="3-D"):
        DualPathNet(spatial_dims=3)


def test_split_prediction_refuses_other_tensors() -> None:
    with pytest.raises(ValueError, match="9 or 5 channels"):
        split_prediction(torch.from_numpy(np.zeros((1, 3, 4, 4))))
