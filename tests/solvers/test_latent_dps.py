"""Latent-DPS: its gradient where it is linear algebra, and DDIM where it has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.errors import UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.latent_dps import LatentDPSSettings, latent_dps
from ctresample.units import MU_WATER_PER_MM, hu_to_mu

GRID = ImageGrid((16, 16), 6.0)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
def test_without_a_step_it_is_the_ddim_of_diffusers(prediction_type, eta, toy_prior):
    prior = toy_prior.random_prior(prediction_type)
    A = SparseProjector(ParallelBeam.for_grid(GRID, 5), GRID)
    y = torch.ones(1, 1, *A.range_shape)
    settings = LatentDPSSettings(n_steps=20, eta=eta, scale=0.0)
    generator = torch.Generator().manual_seed(3)
    found = latent_dps(y, A, prior, sigma=y, settings=settings, generators=[generator])
    scheduler = toy_prior.scheduler(prediction_type)
    scheduler.set_timesteps(20)
    generator.manual_seed(3)
    z = torch.randn((1, toy_prior.CHANNELS, 8, 8), generator=generator)
    with torch.no_grad():
        for t in scheduler.timesteps:
            noise = torch.randn(z.shape, generator=generator)
            step = scheduler.step(prior.unet(z, t).sample, t, z, eta=eta, variance_noise=noise)
            z = step.prev_sample
        expected = hu_to_mu(prior.decode(step.pred_original_sample))  # the last level is clean
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
def test_a_step_against_the_gradient_of_the_norm(beam, phantoms, toy_prior):
    """One step, from noise to clean, with pixels normal and independent."""
    prior, grid = toy_prior.GaussianPrior(), ImageGrid((6, 6), 4.0)
    A = SparseProjector(beam.for_grid(grid, 4), grid, dtype=torch.float64)
    rng = np.random.default_rng(0)
    M, mean = phantoms.matrix_of(A), hu_to_mu(0.0)
    sigmas = 0.01 * rng.uniform(0.5, 2, len(M))
    y = M @ rng.uniform(0, 2 * mean, M.shape[1])
    settings = LatentDPSSettings(n_steps=1, scale=0.3)
    found = latent_dps(
        phantoms.as_batch(y.reshape(A.range_shape), dtype=A.dtype),
        A,
        prior,
        sigma=phantoms.as_batch(sigmas.reshape(A.range_shape), dtype=A.dtype),
        settings=settings,
        generators=[torch.Generator().manual_seed(1)],
    )
    z = torch.randn((1, *grid.shape), generator=torch.Generator().manual_seed(1)).double().numpy().ravel()
    a = float(prior.alpha_bar[1]) ** 0.5  # z_0 = a z, x = mean + spread z_0
    spread = prior.scale_hu * MU_WATER_PER_MM / 1000
    W = M / sigmas[:, None]
    unit = 1000 * MU_WATER_PER_MM / 1000  # half of -1000 to 1000 HU
    gain = np.linalg.norm(W @ np.full(len(z), unit)) / np.linalg.norm(np.ones(len(z)))
    residual = y / sigmas - W @ (mean + spread * a * z)
    gradient = -spread * a * W.T @ residual / np.linalg.norm(residual)
    expected = mean + spread * (a * z - 0.3 * gradient / gain)
    assert found.numpy().ravel() == pytest.approx(expected, rel=1e-6)
    assert 0.8 < gain / (unit * np.linalg.norm(W, 2)) < 1  # so that the gradient's is about 1 at most


@pytest.mark.parametrize("dose", [0.1, 10.0])
def test_the_step_does_not_depend_on_the_dose(dose, phantoms, toy_prior):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 5), GRID, dtype=torch.float64)
    y = A(phantoms.as_batch(phantoms.image(GRID, phantoms.head(GRID)), dtype=A.dtype))
    prior, settings = toy_prior.GaussianPrior(), LatentDPSSettings(n_steps=6, scale=2.0)
    once, other = (
        latent_dps(y, A, prior, sigma=s * torch.ones_like(y), settings=settings, generators=[torch.Generator()])
        for s in (0.01, 0.01 / dose)
    )
    assert torch.allclose(once, other, rtol=1e-9)


@pytest.mark.parametrize("change", [{"eta": -0.1}, {"eta": 1.1}, {"scale": -1.0}], ids=str)
def test_settings(change):
    with pytest.raises(UsageError, match="latent-dps settings"):
        replace(LatentDPSSettings(), **change)
