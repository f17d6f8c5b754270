"""Losses and weights against their definitions, worked out another way."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from ctresample.pipelines.training.discriminator import (
    SMALLEST_SEEN_PX,
    PatchDiscriminator,
    adaptive_weight,
    hinge_loss,
)
from ctresample.pipelines.training.latent_scaling import latent_divisors
from ctresample.pipelines.training.noise_prediction import min_snr_weight, prediction_target
from ctresample.pipelines.training.ssim import ssim


@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
def test_ssim_equals_scikit_image(noise):
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, (40, 48)).cumsum(0) / 5
    y = x + noise * generator.standard_normal(x.shape)
    expected = structural_similarity(
        x, y, data_range=2.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, win_size=11
    )
    found = ssim(torch.from_numpy(x)[None, None], torch.from_numpy(y)[None, None], data_range=2.0)
    assert float(found) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@given(alpha_bar=st.floats(0.001, 0.999), gamma=st.floats(0.1, 50))
def test_min_snr_weighs_the_error_of_the_clean_latents(prediction, alpha_bar, gamma):
    """Whatever is predicted, the weighted loss is ``min(SNR, gamma)`` times the squared error of the latents."""
    generator = torch.Generator().manual_seed(0)
    z_0, noise, error = (torch.randn(1, 2, 3, 3, generator=generator, dtype=torch.float64) for _ in range(3))
    level = torch.tensor([alpha_bar], dtype=torch.float64)
    a, b = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    predicted = prediction_target(prediction, z_0, noise, level) + error
    z_t = a * z_0 + b * noise
    estimate = {
        "epsilon": (z_t - b * predicted) / a,
        "v_prediction": a * z_t - b * predicted,
        "sample": predicted,
    }[prediction]
    weighted = float(min_snr_weight(prediction, level, gamma)) * float(error.square().sum())
    expected = min(alpha_bar / (1 - alpha_bar), gamma) * float((estimate - z_0).square().sum())
    assert weighted == pytest.approx(expected, rel=1e-6)


def test_no_gamma_no_weight():
    assert min_snr_weight("epsilon", torch.tensor([0.1, 0.9]), None).tolist() == [1, 1]


@given(
    std=st.lists(st.floats(0.001, 1000), min_size=1, max_size=12),
    exponent=st.floats(0, 1),
)
def test_latent_scaling(std, exponent):
    std = torch.tensor(std, dtype=torch.float64)
    scaled = std / latent_divisors(std, exponent)
    assert float(scaled.square().mean()) == pytest.approx(1)
    # the ratio of two channels' spreads is raised to what is left of the exponent
    torch.testing.assert_close(scaled / scaled[0], (std / std[0]) ** (1 - exponent))


def test_latent_scaling_at_its_ends():
    std = torch.tensor([3.0, 4.0])
    torch.testing.assert_close(latent_divisors(std, 1.0), std)
    torch.testing.assert_close(latent_divisors(std, 0.0), torch.full((2,), math.sqrt(12.5)))


def test_hinge_loss_stops_at_the_margin():
    sure = hinge_loss(torch.full((2, 1), 3.0), torch.full((2, 1), -3.0))
    unsure = hinge_loss(torch.zeros(2, 1), torch.zeros(2, 1))
    assert (float(sure), float(unsure)) == (0, 1)


def test_adaptive_weight_makes_the_pulls_equal():
    w = torch.nn.Parameter(torch.tensor([2.0]))
    others, adversarial = 6 * w.sum(), 3 * w.sum()
    assert float(adaptive_weight(others, adversarial, w)) == pytest.approx(2)


def test_smallest_image_that_the_discriminator_judges():
    assert PatchDiscriminator(8)(torch.zeros(1, 1, SMALLEST_SEEN_PX, SMALLEST_SEEN_PX)).shape == (1, 1, 1, 1)


def test_verdict_teaches_the_discriminator_nothing():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(8)
    images = torch.randn(2, 1, 32, 32, requires_grad=True)
    torch.testing.assert_close(discriminator.verdict(images), discriminator(images))
    discriminator.verdict(images).sum().backward()
    assert float(images.grad.abs().sum()) > 0
    assert all(p.grad is None for p in discriminator.parameters())
