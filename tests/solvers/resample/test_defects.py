"""The released code's defects: each by its formula, each alone, and none in the published preset."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.consistency import residual_ratio
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.diffusion.schedule import steps_of
from ctresample.solvers.resample import PRESETS, resample
from ctresample.solvers.resample.defects import STOP_RMS, Defect, fixed_stop, inner_step, tweedie
from ctresample.units import MU_WATER_PER_MM, hu_to_mu

GRID = ImageGrid((16, 16), 8.0)
A = SparseProjector(ParallelBeam.for_grid(GRID, 8), GRID)
SIGMA = 0.05
SHORT = replace(PRESETS["paper"], n_steps=20, skip=4, inner_steps=2, pixel_iterations=60, latent_iterations=30)


def run(prior, settings, sigma: float = SIGMA) -> tuple[torch.Tensor, torch.Tensor]:
    """The image, and its residual over what the noise predicts."""
    truth = hu_to_mu(torch.zeros(1, 1, *GRID.shape))
    truth[..., 4:12, 4:12] *= 1.5
    y = A(truth) + sigma * torch.randn((1, 1, *A.range_shape), generator=torch.Generator().manual_seed(0))
    sigmas = torch.full_like(y, sigma)
    x = resample(y, A, prior, sigma=sigmas, settings=settings, generators=[torch.Generator().manual_seed(1)])
    return x, residual_ratio((A(x) - y) / sigmas)


def test_the_slip_leaves_noise_in_the_estimate():
    z_0, epsilon, a = torch.tensor(0.7), torch.tensor(-1.3), 0.4
    z = a**0.5 * z_0 + (1 - a) ** 0.5 * epsilon
    assert float(tweedie(z_0, epsilon, a, ("tweedie-slip",))) == pytest.approx(
        float((z - (1 - a) * epsilon) / a**0.5)  # as the released code has it
    )
    assert tweedie(z_0, epsilon, a, ()) is z_0


def test_the_levels_of_steps_ahead_are_one_too_noisy(toy_prior):
    before, step = steps_of(toy_prior.scheduler("epsilon"), 20)[5:7]
    z, epsilon = torch.randn(4, generator=torch.Generator().manual_seed(0)), torch.ones(4)
    z_0 = (z - (1 - step.alpha_bar) ** 0.5 * epsilon) / step.alpha_bar**0.5
    assert inner_step(z, z_0, epsilon, step, before, ()) == (z_0, step)
    slipped, levels = inner_step(z, z_0, epsilon, step, before, ("inner-step-levels",))
    assert levels is before
    assert torch.allclose(before.alpha_bar**0.5 * slipped + (1 - before.alpha_bar) ** 0.5 * epsilon, z)


def test_the_fixed_stop_knows_no_noise():
    """Images in [-1, 1] measured by a mean: a misfit of 0.001, which is a tenth of noise of 0.01."""
    sigma = torch.full((3, 1, 2, 2), 0.01)
    assert fixed_stop(torch.ones(3), sigma) == pytest.approx([0.1] * 3)
    assert fixed_stop(torch.ones(3), 1e-3 * sigma) == pytest.approx([100.0] * 3)


def test_the_fixed_stop_goes_by_the_rays_that_are_known():
    """A residual of ``STOP_RMS`` in three rays of four, and none in the fourth, is where it stops."""
    sigma = torch.full((2, 1, 4, 5), 0.01)
    sigma[:, :, 3] = BAD_RAY_SIGMA
    residual = torch.full_like(sigma, STOP_RMS) / sigma
    assert fixed_stop(torch.ones(2), sigma) == pytest.approx(residual_ratio(residual).tolist())


def test_the_fixed_stop_fits_noise(toy_prior):
    prior = toy_prior.GaussianPrior()
    prior.scale_hu = 1000.0
    settings = replace(SHORT, latent_lr=2e-2, latent_iterations=800)
    _, at_noise = run(prior, settings)
    _, released = run(prior, replace(settings, defects=("fixed-stop",)))
    assert 0.95 < at_noise < 1.05
    assert released < 0.8


@pytest.mark.parametrize("defect", get_args(Defect))
def test_each_alone_changes_the_result(defect, toy_prior):
    prior = toy_prior.GaussianPrior()
    prior.scale_hu = 1000.0
    settings = replace(SHORT, latent_lr=2e-2, pixel_iterations=300, latent_iterations=300)
    clean, _ = run(prior, settings)
    again, _ = run(prior, settings)
    assert torch.equal(clean, again)
    changed, _ = run(prior, replace(settings, defects=(defect,)))
    assert float((changed - clean).abs().max()) > 1e-3 * MU_WATER_PER_MM


def test_the_preset_runs(toy_prior):
    settings = replace(PRESETS["released_code"], n_steps=20, skip=4, pixel_iterations=5, latent_iterations=5)
    x, _ = run(toy_prior.random_prior(), settings)
    assert torch.isfinite(x).all()
