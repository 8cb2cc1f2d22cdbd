"""Losses train what they say; metrics agree with scikit-image and stay finite."""

import numpy as np
import pytest
import torch
from monai.losses import SSIMLoss
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn import functional

from lowlight.model.features import FeatureNet, FeaturePerceptualLoss, ModalityAndTurnLoss
from lowlight.model.losses import EnhancementLoss, contrast_loss, findings_loss, gaussian_likelihood, structural_loss
from lowlight.model.metrics import (
    PSNR,
    SSIM,
    ColourDifference,
    ContrastFidelity,
    ContrastImprovementIndex,
    LightnessOrderError,
    local_contrast,
)
from lowlight.model.network import DualPathNet


@pytest.fixture(scope="module")
def perceptual(bundle) -> FeaturePerceptualLoss:
    return FeaturePerceptualLoss(FeatureNet(), bundle / "models" / "features.pt")


@pytest.fixture(scope="module")
def truth(retina) -> torch.Tensor:
    image = torch.from_numpy(retina[:144, :160].copy()).permute(2, 0, 1).float() / 255
    return torch.stack([image, image.flip(-1)])


def test_every_term_of_the_loss_falls_when_it_is_trained(truth: torch.Tensor, perceptual) -> None:
    torch.manual_seed(0)
    network = DualPathNet()
    loss = EnhancementLoss(log_mse=0.01, fitted=1, detail=1, perceptual_loss=perceptual)
    dark = 0.3 * truth**1.8
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    history = []
    for _ in range(25):
        optimizer.zero_grad()
        value = loss(network(dark), truth)
        value.backward()
        optimizer.step()
        history.append(dict(loss.terms))
    for name in ("mse", "absolute", "log_mse", "fitted", "detail", "ssim", "perceptual", "low_frequency", "likelihood"):
        assert history[-1][name] < history[0][name], name


def test_the_fitted_term_does_not_see_brightness_and_sees_the_rest(truth: torch.Tensor) -> None:
    def fitted(image: torch.Tensor) -> float:
        maps = torch.zeros(2, 6, *image.shape[-2:])
        loss = EnhancementLoss(mse=0, absolute=0, ssim=0, perceptual=0, low_frequency=0, likelihood=0, fitted=1)
        return float(loss(torch.cat([image, maps], dim=1), truth))

    torch.manual_seed(0)
    noise = 0.02 * torch.randn_like(truth)
    assert fitted(0.8 * truth + 0.1) < 1e-6
    # Black and white clip some of the noise; what is made brighter has its noise enlarged with it.
    assert fitted(truth + noise) == pytest.approx(4e-4, rel=0.3)
    assert fitted(0.8 * truth + 0.1 + noise) == pytest.approx(4e-4 / 0.8**2, rel=0.1)


def test_the_detail_term_counts_a_lost_line_far_more_than_the_same_error_on_a_plain_surface() -> None:
    def lost(truth: torch.Tensor, output: torch.Tensor) -> float:
        loss = EnhancementLoss(mse=0, absolute=0, ssim=0, perceptual=0, low_frequency=0, likelihood=0, detail=1)
        return float(loss(torch.cat([output, torch.zeros(1, 6, 64, 64)], dim=1), truth))

    plain = torch.linspace(0.3, 0.6, 64).expand(1, 3, 64, 64)
    line = plain.clone()
    line[..., 30, 10:50] += 0.2
    assert lost(line, plain) > 20 * lost(plain, line)


def test_structural_loss_is_that_of_monai_and_has_its_gradients(truth: torch.Tensor, noisy: torch.Tensor) -> None:
    monai = SSIMLoss(spatial_dims=2, data_range=1.0, kernel_type="gaussian", win_size=11)
    images = [noisy.clone().requires_grad_() for _ in range(2)]
    ours = structural_loss(images[0].mean(1), truth.mean(1))
    theirs = monai(images[1].mean(1, keepdim=True), truth.mean(1, keepdim=True))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    ours.backward()
    theirs.backward()
    torch.testing.assert_close(images[0].grad, images[1].grad, atol=1e-7, rtol=1e-2)


def test_likelihood_is_least_at_the_true_error_and_does_not_reach_the_image() -> None:
    error = torch.randn(1, 1, 200, 200) * 0.05
    candidates = torch.linspace(-5, -1, 81)
    values = [float(gaussian_likelihood(error, torch.full((1, 1, 200, 200), float(c)))) for c in candidates]
    best = float(candidates[int(np.argmin(values))])
    assert abs(np.exp(best) - 0.05) < 0.004

    prediction = torch.rand(1, 9, 32, 32, requires_grad=True)
    loss = EnhancementLoss(mse=0, absolute=0, ssim=0, perceptual=0, low_frequency=0, likelihood=1)
    loss(prediction, torch.rand(1, 3, 32, 32)).backward()
    assert float(prediction.grad[:, :6].abs().sum()) == 0
    assert float(prediction.grad[:, 6].abs().sum()) > 0


def test_the_low_frequency_term_trains_the_tone_alone() -> None:
    loss = EnhancementLoss(mse=0, absolute=0, ssim=0, perceptual=0, low_frequency=1, likelihood=0)
    network = DualPathNet()
    loss(network(torch.rand(1, 3, 64, 64) * 0.2), torch.rand(1, 3, 64, 64)).backward()
    assert all(float(p.grad.abs().sum()) == 0 for p in network.denoise.parameters())
    assert sum(float(p.grad.abs().sum()) for p in network.tone.parameters()) > 0


def test_perceptual_features_are_trained_frozen_and_notice_damage(truth: torch.Tensor, perceptual) -> None:
    generator = torch.Generator().manual_seed(0)
    noisy = (truth + 0.05 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    noisier = (truth + 0.15 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    assert float(perceptual(truth, truth)) == 0
    assert 0 < float(perceptual(noisy, truth)) < float(perceptual(noisier, truth))
    assert not any(p.requires_grad for p in perceptual.parameters())
    assert not perceptual.train().network.training


def test_the_config_can_name_monais_perceptual_loss_instead(bundle) -> None:
    """Its weights cannot be had offline, so that it is resolved here with its arguments and not run."""
    from inspect import signature

    from monai.bundle import ConfigParser
    from monai.losses import PerceptualLoss

    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "train.yaml")
    named = {"_target_": "monai.losses.PerceptualLoss", "spatial_dims": 2, "network_type": "alex"}
    parser["loss#perceptual_loss"] = named
    component = parser.get_parsed_content("loss#perceptual_loss", instantiate=False)
    assert component.resolve_module_name() == "monai.losses.PerceptualLoss"
    signature(PerceptualLoss).bind(**component.resolve_args())


def test_any_module_of_output_and_truth_serves_as_perceptual_loss(truth: torch.Tensor) -> None:
    loss = EnhancementLoss(perceptual=10.0, perceptual_loss=torch.nn.L1Loss())
    torch.manual_seed(0)
    with torch.no_grad():
        # Darkened, so that nothing leaves the display's range, where the loss softens its bound.
        prediction = DualPathNet()(0.05 * truth)
    assert 0 <= float(prediction[:, :3].min()) <= float(prediction[:, :3].max()) <= 1
    without = EnhancementLoss(perceptual=0.0)
    shown = prediction[:, :3]
    added = float(loss(prediction, truth) - without(prediction, truth))
    assert added == pytest.approx(10 * float((shown - truth).abs().mean()), rel=1e-3)


def test_a_perceptual_weight_without_features_is_refused() -> None:
    with pytest.raises(ValueError, match="perceptual_loss"):
        EnhancementLoss(perceptual=0.1)


def test_turn_loss_ignores_unknown_modalities_and_learns_turns() -> None:
    logits = torch.zeros(4, 10)
    logits[:, 6] = 5.0
    right, wrong = torch.tensor([[0, 0]] * 4), torch.tensor([[0, 1]] * 4)
    assert ModalityAndTurnLoss()(logits, right) < ModalityAndTurnLoss()(logits, wrong)


@pytest.fixture(scope="module")
def noisy(truth: torch.Tensor) -> torch.Tensor:
    return (truth * 0.8 + 0.05 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))).clamp(0, 1)


def test_psnr_and_ssim_agree_with_scikit_image(truth: torch.Tensor, noisy: torch.Tensor) -> None:
    for metric, reference, tolerance in (
        (PSNR(), lambda a, b: peak_signal_noise_ratio(b, a, data_range=1), 0.01),
        (
            SSIM(),
            lambda a, b: structural_similarity(
                a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=0
            ),
            0.001,
        ),
    ):
        expected = np.mean(
            [reference(a.double().numpy(), b.double().numpy()) for a, b in zip(noisy, truth, strict=True)]
        )
        metric(noisy, truth)
        assert abs(float(metric.aggregate()) - expected) <= tolerance, type(metric).__name__


def test_psnr_of_identical_images_is_finite(truth: torch.Tensor) -> None:
    metric = PSNR()
    metric(truth, truth)
    assert float(metric.aggregate()) == pytest.approx(100.0)


def test_colour_difference_is_ciede2000(truth: torch.Tensor, noisy: torch.Tensor) -> None:
    expected = [
        deltaE_ciede2000(rgb2lab(a.permute(1, 2, 0).numpy()), rgb2lab(b.permute(1, 2, 0).numpy())).mean()
        for a, b in zip(noisy, truth, strict=True)
    ]
    np.testing.assert_allclose(ColourDifference().measure(noisy, truth)[:, 0], expected, rtol=1e-4)
    assert torch.isnan(ColourDifference().measure(noisy[:, :1], truth[:, :1])).all()


def test_contrast_measures_scale_with_contrast(truth: torch.Tensor) -> None:
    flat = truth.mean() + 0.5 * (truth - truth.mean())
    assert float(ContrastFidelity().measure(flat, truth).mean()) == pytest.approx(0.5, abs=1e-4)
    assert float(ContrastImprovementIndex().measure(truth, flat).mean()) == pytest.approx(2.0, abs=1e-3)
    assert float(local_contrast(torch.full((1, 1, 20, 20), 0.3))) == pytest.approx(0.0, abs=1e-6)


def test_lightness_order_survives_a_curve_and_not_an_inversion(truth: torch.Tensor) -> None:
    metric = LightnessOrderError()
    assert float(metric.measure(truth**0.5, truth).max()) == 0
    assert float(metric.measure(1 - truth, truth).min()) > 0.5


@pytest.mark.parametrize("metric", [PSNR, SSIM, ContrastFidelity, ColourDifference, LightnessOrderError])
def test_metrics_take_images_smaller_than_their_windows(metric: type) -> None:
    value = metric().measure(torch.rand(1, 3, 4, 6), torch.rand(1, 3, 4, 6))
    assert torch.isfinite(value).all()


def test_different_shapes_are_refused(truth: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        PSNR()(truth, truth[..., :-1])


def test_the_contrast_of_detail_is_asked_back_and_noise_is_no_detail() -> None:
    torch.manual_seed(0)
    truth = 0.5 + 0.1 * functional.interpolate(torch.randn(2, 1, 24, 24), scale_factor=4).expand(-1, 3, -1, -1)
    faint = truth.mean() + 0.6 * (truth - truth.mean())
    noisy = faint + 0.05 * torch.randn(2, 1, 96, 96)
    assert contrast_loss(truth, truth) < 1e-10
    assert contrast_loss(faint, truth) == pytest.approx(0.4**2, rel=0.02)
    assert contrast_loss(noisy, truth) == pytest.approx(0.4**2, rel=0.05)
    flat = torch.full((1, 3, 96, 96), 0.5)
    assert contrast_loss(flat + 0.001 * torch.randn(1, 3, 96, 96), flat) < 1e-3


def with_dots(image: torch.Tensor, contrast: float, rows: tuple[int, ...] = (30, 66, 102)) -> torch.Tensor:
    """Images (B, 3, 144, 144) with dots of 3 px, bright ones and dark ones."""
    drawn = image.clone()
    for column, sign in ((40, 1), (100, -1)):
        for row in rows:
            drawn[..., row : row + 3, column : column + 3] += sign * contrast
    return drawn


@pytest.fixture
def plain() -> torch.Tensor:
    return torch.full((2, 3, 144, 144), 0.5)


@pytest.mark.parametrize(("kept", "missing"), [(1.2, 0.0), (1.0, 0.0), (0.9, 0.0), (0.5, 0.4), (0.0, 0.9), (-1.0, 1.9)])
def test_findings_count_by_the_share_of_contrast_they_miss(plain: torch.Tensor, kept: float, missing: float) -> None:
    truth, image = with_dots(plain, 0.2), with_dots(plain, 0.2 * kept)
    lost, _ = findings_loss(image, truth, truth)
    count = 2 * 6 * 2  # images, dots, diameters
    assert float(lost) == pytest.approx(missing * count / (count + 10), abs=1e-3)


def test_of_a_finding_that_noise_hides_nothing_is_asked(plain: torch.Tensor) -> None:
    torch.manual_seed(0)
    truth = with_dots(plain, 0.06)
    seen = truth + 0.3 * torch.randn(2, 1, 144, 144)
    assert findings_loss(plain, truth, seen)[0] < 0.1
    assert findings_loss(plain, truth, truth)[0] > 0.5


def test_what_looks_like_a_finding_and_is_none_counts_unless_noise_leaves_nothing_to_read(plain: torch.Tensor) -> None:
    torch.manual_seed(0)
    faint, plainly = (with_dots(plain, contrast) for contrast in (0.025, 0.2))
    assert findings_loss(faint, plain, plain)[1] == 0
    invented = findings_loss(plainly, plain, plain)[1]
    assert invented > 0.1
    noise = plain + 0.3 * torch.randn(2, 1, 144, 144)
    assert findings_loss(plainly, plain, noise)[1] < 0.1 * invented
    # Less than twice of what is there is none.
    assert findings_loss(plainly, with_dots(plain, 0.12), plain)[1] < 1e-6


def test_findings_pull_at_the_image_alone_and_no_gradient_is_without_end(plain: torch.Tensor) -> None:
    truth = with_dots(plain, 0.2)
    for image in (with_dots(plain, 0.1), plain.clone(), truth.clone()):
        image.requires_grad_()
        lost, invented = findings_loss(image, truth, truth)
        (lost + invented).backward()
        assert image.grad is not None
        assert image.grad.isfinite().all()
    flat = findings_loss(plain, plain, plain)
    assert [float(value) for value in flat] == [0, 0]


def test_brightness_is_held_where_it_was(truth: torch.Tensor) -> None:
    names = ("mse", "absolute", "ssim", "perceptual", "low_frequency", "likelihood")
    loss = EnhancementLoss(**dict.fromkeys(names, 0.0), drift=1.0)
    prediction = torch.rand(2, 9, 144, 160)
    start = prediction[:, :3]
    assert float(loss(torch.cat([prediction, start], 1), truth)) == 0
    brighter = torch.cat([prediction[:, :3] + 0.1, prediction[:, 3:]], 1)
    assert float(loss(torch.cat([brighter, start], 1), truth)) == pytest.approx(0.1, rel=1e-4)
    assert "drift" in loss.terms
    with pytest.raises(ValueError, match="drift > 0 needs"):
        loss(prediction, truth)
