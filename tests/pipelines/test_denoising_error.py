"""Denoising error: against a prior whose error is known in closed form."""

import math

import pytest
import torch

from ctresample.pipelines.denoising_error import N_LEVELS, denoising_error


@pytest.fixture
def gaussian(toy_prior):
    prior = toy_prior.GaussianPrior()
    prior.device = torch.device("cpu")
    return prior


def images(n):
    return 100 * torch.randn(n, 1, 64, 64, generator=torch.Generator().manual_seed(4))


def test_error_of_the_gaussian_is_the_posterior_deviation(gaussian):
    """z given z_t has variance 1 - alpha_bar there, and a latent of 1 is 100 HU."""
    found = denoising_error(gaussian, images(12), torch.Generator().manual_seed(1))
    levels = [error.alpha_bar for error in found]
    assert len(found) == N_LEVELS
    assert levels == sorted(levels)
    for error in found:
        assert error.latent_mse == pytest.approx(1 - error.alpha_bar, rel=0.04)
        assert error.rmse_hu == pytest.approx(100 * math.sqrt(1 - error.alpha_bar), rel=0.02)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_batches_change_nothing(toy_prior, batch_size):
    prior = toy_prior.random_prior()
    hu = images(5).clamp(-1000, 2000)[..., :16, :16]
    shares = []
    found = denoising_error(
        prior, hu, torch.Generator().manual_seed(1), batch_size=batch_size, on_progress=shares.append
    )
    whole = denoising_error(prior, hu, torch.Generator().manual_seed(1), batch_size=5)
    for one, other in zip(found, whole, strict=True):
        assert one.latent_mse == pytest.approx(other.latent_mse, rel=1e-4)
        assert one.rmse_hu == pytest.approx(other.rmse_hu, rel=1e-4)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
