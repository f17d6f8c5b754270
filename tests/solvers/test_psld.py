"""PSLD: the gluing term where it is linear algebra, and Latent-DPS without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.errors import UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.latent_dps import LatentDPSSettings, latent_dps
from ctresample.solvers.psld import PSLDSettings, psld
from ctresample.units import MU_WATER_PER_MM, hu_to_mu

GRID = ImageGrid((16, 16), 6.0)


def test_without_glue_it_is_latent_dps(phantoms, toy_prior):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 5), GRID)
    y = A(phantoms.as_batch(phantoms.image(GRID, phantoms.head(GRID)), dtype=A.dtype))
    prior, sigma = toy_prior.random_prior(), torch.full_like(y, 0.01)
    bare, glued = PSLDSettings(n_steps=6, scale=0.7, gluing=0.0), PSLDSettings(n_steps=6, scale=0.7, gluing=0.5)
    expected = latent_dps(
        y,
        A,
        prior,
        sigma=sigma,
        settings=LatentDPSSettings(n_steps=6, eta=bare.eta, scale=0.7),
        generators=[torch.Generator()],
    )
    found, other = (
        psld(y, A, prior, sigma=sigma, settings=settings, generators=[torch.Generator()]) for settings in (bare, glued)
    )
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(other, expected, atol=1e-4)


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
def test_glue_pulls_to_the_image_that_agrees_with_the_data(beam, phantoms, toy_prior):
    """One step, from noise to clean, with pixels normal and independent and the proximal step solved exactly."""
    prior, grid = toy_prior.GaussianPrior(), ImageGrid((6, 6), 4.0)
    A = SparseProjector(beam.for_grid(grid, 4), grid, dtype=torch.float64)
    rng = np.random.default_rng(0)
    M, mean = phantoms.matrix_of(A), hu_to_mu(0.0)
    sigmas = 0.05 * rng.uniform(0.5, 2, len(M))
    y = M @ rng.uniform(0, 2 * mean, M.shape[1])
    found = psld(
        phantoms.as_batch(y.reshape(A.range_shape), dtype=A.dtype),
        A,
        prior,
        sigma=phantoms.as_batch(sigmas.reshape(A.range_shape), dtype=A.dtype),
        settings=PSLDSettings(n_steps=1, scale=0.0, gluing=400.0, cg_iterations=60),
        generators=[torch.Generator().manual_seed(1)],
    )
    z = torch.randn((1, *grid.shape), generator=torch.Generator().manual_seed(1)).double().numpy().ravel()
    a = float(prior.alpha_bar[1]) ** 0.5  # z_0 = a z, x = mean + pixel z_0
    pixel, spread = (hu * MU_WATER_PER_MM / 1000 for hu in (prior.scale_hu, prior.spread_hu(1)))
    W = M / sigmas[:, None]
    precision = W.T @ W + np.eye(len(z)) / spread**2
    x = mean + pixel * a * z
    # the proximal step moves x by precision^-1 W^T (y - W x); the glue is that move in latents
    move = np.linalg.solve(precision, W.T @ (y / sigmas - W @ x)) / pixel
    jacobian = -np.linalg.solve(precision, W.T @ W) * a
    expected = mean + pixel * (a * z - 400 * jacobian.T @ move / np.linalg.norm(move))
    assert found.numpy().ravel() == pytest.approx(expected, rel=1e-5)
    assert np.abs(expected - x).max() > 1e-4 * mean


@pytest.mark.parametrize(
    "change", [{"eta": -0.1}, {"eta": 1.1}, {"scale": -1.0}, {"gluing": -1.0}, {"cg_iterations": 0}], ids=str
)
def test_settings(change):
    with pytest.raises(UsageError, match="psld settings"):
        replace(PSLDSettings(), **change)
