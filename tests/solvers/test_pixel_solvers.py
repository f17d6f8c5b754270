"""DPS, MCG, DDS and DiffPIR: a posterior in closed form, diffusers' own sampler, and what they promise a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.consistency import residual_ratio
from ctresample.errors import PriorError, UsageError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.dds import DDSSettings, dds
from ctresample.solvers.diffpir import DiffPIRSettings, diffpir
from ctresample.solvers.dps import DPSSettings, dps
from ctresample.solvers.mcg import MCGSettings, mcg
from ctresample.units import MU_WATER_PER_MM, hu_to_mu

SETTINGS = {dps: DPSSettings, mcg: MCGSettings, dds: DDSSettings, diffpir: DiffPIRSettings}
SOLVERS = pytest.mark.parametrize("solver", SETTINGS, ids=lambda solver: solver.__name__)
WITHOUT_FRESH_NOISE = {dps: {"eta": 0.0}, mcg: {"eta": 0.0}, dds: {"eta": 0.0}, diffpir: {"zeta": 0.0}}
SIGMA = 0.01


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class Case:
    """Two different slices and their data."""

    def __init__(self, phantoms, dtype: torch.dtype = torch.float32) -> None:
        grid = ImageGrid((16, 16), 10.0)
        self.A = SparseProjector(ParallelBeam.for_grid(grid, 8), grid, dtype=dtype)
        image = phantoms.image(grid, phantoms.head(grid))
        self.truth = phantoms.as_batch(image, image.T, dtype=dtype)
        clean = self.A(self.truth)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
        self.y, self.sigma = clean + SIGMA * noise, torch.full_like(clean, SIGMA)

    def run(self, solver, prior, slices=(0, 1), seeds=(5, 6), n_steps=10, changes=None, **options) -> torch.Tensor:
        k = list(slices)
        options = {"sigma": self.sigma[k], "generators": generators(*(seeds[i] for i in k))} | options
        settings = SETTINGS[solver](n_steps=n_steps, **(changes or {}))
        return solver(self.y[k], self.A, prior, settings=settings, **options)


@pytest.fixture
def case(phantoms) -> Case:
    return Case(phantoms)


# ---------------------------------------------------------------- the result


@SOLVERS
@pytest.mark.parametrize("patch_size", [1, 2])
def test_mean_over_seeds_is_near_the_posterior_mean(solver, patch_size, phantoms, toy_prior):
    """Pixels known to be normal and independent, measured in few views: linear algebra has the answer.

    None of the four draws from the posterior exactly; their means are to be much nearer to its mean than the prior's
    mean or the truth are.
    """
    prior, n_seeds, sigma = toy_prior.gaussian_pixel_prior(patch_size=patch_size), 64, 0.003
    grid = ImageGrid((6, 6), 4.0)
    A = SparseProjector(ParallelBeam.for_grid(grid, 4), grid, dtype=torch.float64)
    rng = np.random.default_rng(0)
    M = phantoms.matrix_of(A)
    sigmas = sigma * rng.uniform(0.5, 2, len(M))
    spread, mean = 100 * MU_WATER_PER_MM / 1000, hu_to_mu(0.0)
    truth = mean + spread * rng.standard_normal(36)
    y = M @ truth + sigmas * rng.standard_normal(len(M))
    W = M / sigmas[:, None]
    posterior = np.linalg.solve(W.T @ W + np.eye(36) / spread**2, W.T @ (y / sigmas) + mean / spread**2)
    draws = solver(
        phantoms.as_batch(y.reshape(A.range_shape), dtype=A.dtype).expand(n_seeds, -1, -1, -1),
        A,
        prior,
        sigma=phantoms.as_batch(sigmas.reshape(A.range_shape), dtype=A.dtype),
        settings=SETTINGS[solver](n_steps=100),
        generators=generators(*range(n_seeds)),
    )
    found = draws.flatten(1).numpy().mean(axis=0)
    off = np.linalg.norm(found - posterior)
    assert off < 0.25 * np.linalg.norm(mean - posterior)
    assert off < 0.5 * np.linalg.norm(found - truth)


@SOLVERS
def test_residual_is_near_the_noise_level(solver, case, toy_prior):
    """With a prior that allows for the object; DPS, whose steps have a fixed length, comes only so near."""
    prior, n_steps = toy_prior.gaussian_pixel_prior(scale_hu=700.0), 300 if solver is dps else 100
    ratios = residual_ratio((case.A(case.run(solver, prior, n_steps=n_steps)) - case.y) / case.sigma)
    assert ((ratios > 0.2) & (ratios < (8 if solver is dps else 1.5))).all()


@SOLVERS
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_data_that_say_nothing_leave_diffusers_own_sampler(solver, prediction_type, case, toy_prior):
    prior = toy_prior.random_pixel_prior(prediction_type)
    nothing = torch.full_like(case.sigma, 1e9)
    found = case.run(solver, prior, changes=WITHOUT_FRESH_NOISE[solver], sigma=nothing)
    if solver in (dps, mcg):  # their step has a length of its own, whatever the data say
        found = case.run(solver, prior, changes={"eta": 0.0, "scale": 0.0}, sigma=nothing)
    scheduler = toy_prior.scheduler(prediction_type)
    scheduler.set_timesteps(10)
    z = torch.stack([torch.randn((1, 16, 16), generator=g) for g in generators(5, 6)])
    with torch.no_grad():
        for t in scheduler.timesteps:
            step = scheduler.step(prior.unet(z, t).sample, t, z, eta=0.0)
            z = step.prev_sample
        expected = hu_to_mu(prior.decode(step.pred_original_sample))
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_gradient_step_of_dps_by_hand(toy_prior, phantoms):
    """One step with an exact denoiser of independent pixels: z_0 = sqrt(a) z, so all derivatives are written out."""
    case, prior = Case(phantoms, dtype=torch.float64), toy_prior.gaussian_pixel_prior(scale_hu=700.0)
    scale = 0.3
    found = case.run(dps, prior, n_steps=1, changes={"scale": scale})
    z = torch.stack([torch.randn((1, 16, 16), generator=g) for g in generators(5, 6)]).double()
    a = float(prior.alpha_bar[1]) ** 0.5
    unit = 700 * MU_WATER_PER_MM / 1000
    r = (case.A(hu_to_mu(700.0 * a * z)) - case.y) / case.sigma
    uniform = case.A(torch.full_like(z, unit)) / case.sigma
    for k in range(2):
        gain = uniform[k].norm() / 16
        gradient = a * unit * case.A.T(r[k : k + 1] / case.sigma[k : k + 1]) / (r[k].norm() * gain)
        expected = hu_to_mu(700.0 * (a * z[k] - scale * gradient[0]))
        assert torch.allclose(found[k], expected, rtol=1e-6)


@SOLVERS
def test_same_seed_same_image(solver, case, toy_prior):
    prior = toy_prior.random_pixel_prior()
    once = case.run(solver, prior)
    torch.manual_seed(1234)  # no other source of randomness
    assert torch.equal(once, case.run(solver, prior))
    other = case.run(solver, prior, seeds=(5, 7))
    assert torch.allclose(other[0], once[0], atol=1e-3)
    assert not torch.allclose(other[1], once[1], atol=1e-3)


@SOLVERS
def test_batch_of_two_is_the_two_alone(solver, phantoms, toy_prior):
    case, prior = Case(phantoms, dtype=torch.float64), toy_prior.random_pixel_prior(channels=4, patch_size=2)
    prior.unet.double()
    together = case.run(solver, prior)
    alone = torch.cat([case.run(solver, prior, slices=[k]) for k in range(2)])
    assert phantoms.relative(together, alone) < 1e-9


@SOLVERS
def test_colours(solver, case, toy_prior):
    """A model of colour images is one of grey images."""
    x = case.run(solver, toy_prior.random_pixel_prior(channels=3))
    assert x.shape == case.truth.shape
    assert torch.isfinite(x).all()


# ---------------------------------------------------------------- callback and errors


@SOLVERS
def test_callback_is_told_every_step_and_can_stop(solver, case, toy_prior):
    seen = []
    case.run(solver, toy_prior.random_pixel_prior(), callback=seen.append)
    name = solver.__name__
    assert [(status.solver, status.step, status.n_steps) for status in seen] == [(name, k, 10) for k in range(1, 11)]
    assert np.isfinite([status.residual_ratio for status in seen]).all()
    seen.clear()
    case.run(solver, toy_prior.random_pixel_prior(), callback=lambda status: seen.append(status) or len(seen) < 3)
    assert len(seen) == 3


@SOLVERS
def test_a_prior_gone_mad(solver, case, toy_prior):
    prior = toy_prior.random_pixel_prior()
    prior.unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(PriorError, match=f"{solver.__name__} diverged at step 1 of 10"):
        case.run(solver, prior)


@SOLVERS
@pytest.mark.parametrize("seeds", [(), (1,), (1, 2, 3)])
def test_one_generator_a_slice(solver, seeds, case, toy_prior):
    with pytest.raises(UsageError, match=f"{solver.__name__}: there are {len(seeds)} generators for 2 slices"):
        case.run(solver, toy_prior.random_pixel_prior(), generators=generators(*seeds))


@SOLVERS
def test_images_that_do_not_fit_the_network(solver, toy_prior):
    grid = ImageGrid((15, 16), 6.0)
    A = SparseProjector(ParallelBeam.for_grid(grid, 5), grid)
    y = torch.zeros(1, 1, *A.range_shape)
    with pytest.raises(PriorError, match="multiples of 2; the image grid is 15 x 16"):
        solver(y, A, toy_prior.random_pixel_prior(), sigma=torch.ones_like(y), generators=generators(0))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        *((kind, {"n_steps": 0}) for kind in SETTINGS.values()),
        *((kind, {"eta": 1.1}) for kind in (DPSSettings, MCGSettings, DDSSettings)),
        *((kind, {"scale": -1.0}) for kind in (DPSSettings, MCGSettings)),
        *((kind, {"cg_iterations": 0}) for kind in (MCGSettings, DDSSettings, DiffPIRSettings)),
        (DDSSettings, {"spread_scale": 0.0}),
        (DiffPIRSettings, {"prior_weight": 0.0}),
        (DiffPIRSettings, {"zeta": -0.1}),
    ],
    ids=str,
)
def test_settings(kind, changes):
    with pytest.raises(UsageError, match="settings: expected"):
        kind(**changes)
