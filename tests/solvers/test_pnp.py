"""Plug-and-play: where it ends with a denoiser that is linear algebra, and its noise levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.errors import UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.pnp import PnPSettings, denoiser_steps, pnp
from ctresample.units import MU_WATER_PER_MM, hu_to_mu


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
@pytest.mark.parametrize("sigma", [0.003, 0.02])
@pytest.mark.parametrize("level", [0.5, 0.7])
@pytest.mark.parametrize("warm", [True, False], ids=["start", "cgls"])
def test_fixed_point_is_the_posterior_mean(beam, sigma, level, warm, phantoms, toy_prior):
    """With pixels normal and independent, and data steps as wide as the denoiser's error, at any one noise level."""
    prior, grid = toy_prior.GaussianPrior(), ImageGrid((6, 6), 4.0)
    A = SparseProjector(beam.for_grid(grid, 4), grid, dtype=torch.float64)
    rng = np.random.default_rng(0)
    M = phantoms.matrix_of(A)
    sigmas = sigma * rng.uniform(0.5, 2, len(M))
    spread, mean = prior.scale_hu * MU_WATER_PER_MM / 1000, hu_to_mu(0.0)
    truth = mean + spread * rng.standard_normal(grid.shape[0] * grid.shape[1])
    y = M @ truth + sigmas * rng.standard_normal(len(M))
    W = M / sigmas[:, None]
    posterior = np.linalg.solve(W.T @ W + np.eye(len(truth)) / spread**2, W.T @ (y / sigmas) + mean / spread**2)
    start = phantoms.as_batch(np.full(grid.shape, 0.5 * mean), dtype=A.dtype)
    found = pnp(
        phantoms.as_batch(y.reshape(A.range_shape), dtype=A.dtype),
        A,
        prior,
        sigma=phantoms.as_batch(sigmas.reshape(A.range_shape), dtype=A.dtype),
        settings=PnPSettings(n_steps=30, spread_scale=1.0, start_level=level, end_level=level, cg_iterations=40),
        start=start if warm else None,
    )
    assert np.abs(found.numpy().ravel() - posterior).max() < 1e-6 * spread
    assert np.abs(truth - posterior).max() > 0.1 * spread


def test_noise_falls_geometrically(toy_prior):
    alpha_bar = toy_prior.GaussianPrior().alpha_bar
    steps = denoiser_steps(alpha_bar, PnPSettings(n_steps=9, start_level=0.8, end_level=0.1))
    assert (steps[0], steps[-1]) == (round(0.8 * 999), round(0.1 * 999))
    noise = (((1 - alpha_bar[steps]) / alpha_bar[steps]) ** 0.5).numpy()
    assert np.diff(np.log(noise)) == pytest.approx([np.log(noise[-1] / noise[0]) / 8] * 8, abs=0.02)


@pytest.mark.parametrize(
    "change",
    [{"cg_iterations": 0}, {"end_level": 0.0}, {"start_level": 1.1}, {"start_level": 0.001}, {"spread_scale": 0.0}],
    ids=str,
)
def test_settings(change):
    with pytest.raises(UsageError, match="pnp settings"):
        replace(PnPSettings(), **change)
