"""What holds of every solver with the latent prior that has no presets: batches, seeds, callbacks and errors."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ctresample.consistency import residual_ratio
from ctresample.errors import PriorError, UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.pipelines.reconstruction.methods import METHODS
from ctresample.solvers.pnp import PnPSettings
from ctresample.units import MU_WATER_PER_MM

GRID = ImageGrid((32, 32), 6.0)
SIGMA = 0.02
N_STEPS = 8

RIVALS = [
    method
    for method in METHODS.values()
    if method.needs == "latent prior"
    and not method.has_presets
    and method.name != "itnet"  # which has tests of its own
]
RIVAL = pytest.mark.parametrize("method", RIVALS, ids=lambda method: method.name)
SAMPLER = pytest.mark.parametrize("method", [m for m in RIVALS if m.name != "pnp"], ids=lambda method: method.name)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class Case:
    """Two different slices and their data, the second with more noise."""

    def __init__(self, phantoms, beam: type = ParallelBeam, dtype: torch.dtype = torch.float32) -> None:
        self.A = SparseProjector(beam.for_grid(GRID, 10), GRID, dtype=dtype)
        image = phantoms.image(GRID, phantoms.head(GRID))
        self.truth = phantoms.as_batch(image, image.T, dtype=dtype)
        clean = self.A(self.truth)
        self.sigma = SIGMA * torch.tensor([1.0, 2.0], dtype=dtype).view(2, 1, 1, 1).expand_as(clean)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
        self.y = clean + self.sigma * noise

    def run(self, method, prior, slices=(0, 1), seeds=(5, 6), **options) -> torch.Tensor:
        k = list(slices)
        options = {"generators": generators(*(seeds[i] for i in k)), "settings": small(method)} | options
        return method.load_solver()(self.y[k], self.A, prior, sigma=self.sigma[k], **options)


def small(method):
    settings = replace(method.load_settings(), n_steps=N_STEPS)
    # conjugate gradients that are near their end make rounding large
    return replace(settings, cg_iterations=4) if hasattr(settings, "cg_iterations") else settings


@pytest.fixture
def case(phantoms) -> Case:
    return Case(phantoms)


@RIVAL
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.float64, 1e-8)], ids=str)
def test_batch_of_two_is_the_two_alone(method, dtype, tolerance, phantoms, toy_prior):
    case, prior = Case(phantoms, dtype=dtype), toy_prior.random_prior()
    prior.vae.to(dtype), prior.unet.to(dtype)
    together = case.run(method, prior)
    alone = torch.cat([case.run(method, prior, slices=[k]) for k in range(2)])
    assert phantoms.relative(together, alone) < tolerance
    assert phantoms.relative(together[:1], alone[1:]) > 100 * tolerance


@RIVAL
def test_same_seed_same_image(method, case, toy_prior):
    prior = toy_prior.random_prior()
    once = case.run(method, prior)
    torch.manual_seed(1234)  # no other source of randomness
    assert torch.equal(once, case.run(method, prior))
    assert not once.requires_grad


@SAMPLER
def test_each_slice_draws_from_its_own_generator(method, case, toy_prior):
    prior = toy_prior.random_prior()
    once, other = case.run(method, prior), case.run(method, prior, seeds=(5, 7))
    assert torch.allclose(other[0], once[0], atol=1e-5)
    assert not torch.allclose(other[1], once[1], atol=1e-3)


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
def test_residual_of_pnp_is_at_the_noise_level(beam, phantoms, toy_prior):
    case, prior = Case(phantoms, beam), toy_prior.GaussianPrior()
    prior.scale_hu = 200.0
    x = case.run(METHODS["pnp"], prior, settings=PnPSettings(n_steps=50, spread_scale=1.0))
    ratios = residual_ratio((case.A(x) - case.y) / case.sigma)
    assert ((ratios > 0.7) & (ratios < 1.4)).all(), ratios


@SAMPLER
@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
def test_residual_falls_towards_the_noise_level(method, beam, phantoms, toy_prior):
    """A constant step against the gradient of a norm does not settle, so no method of this kind ends at the noise."""
    case, prior = Case(phantoms, beam), toy_prior.GaussianPrior()
    prior.scale_hu = 300.0
    settings = replace(method.load_settings(), n_steps=60)
    unled = {name: 0.0 for name in ("scale", "gluing") if hasattr(settings, name)}
    bare, led = (
        residual_ratio((case.A(case.run(method, prior, settings=replace(settings, **changes))) - case.y) / case.sigma)
        for changes in (unled, {"scale": 20.0})
    )
    assert (led < bare / 5).all(), (led, bare)


@RIVAL
def test_hu_refer_to_the_given_water(method, case, toy_prior):
    """Twice the attenuation of water and of everything else: the same image in HU."""
    prior = toy_prior.random_prior()
    once = case.run(method, prior)
    case.y, case.sigma = 2 * case.y, 2 * case.sigma
    twice = case.run(method, prior, mu_water_per_mm=2 * MU_WATER_PER_MM)
    assert torch.allclose(twice / 2, once, atol=1e-3)


@RIVAL
def test_callback_is_told_every_step_and_can_stop(method, case, toy_prior):
    prior, seen = toy_prior.random_prior(), []
    whole = case.run(method, prior, callback=seen.append)
    told = [(status.solver, status.step, status.n_steps) for status in seen]
    assert told == [(method.name, step, N_STEPS) for step in range(1, N_STEPS + 1)]
    assert all(0 < status.residual_ratio < 1e4 for status in seen)
    seen.clear()
    stopped = case.run(method, prior, callback=lambda status: seen.append(status) or len(seen) < 3)
    assert len(seen) == 3
    assert stopped.shape == whole.shape
    assert not torch.allclose(stopped, whole, atol=1e-3)


@RIVAL
def test_a_prior_gone_mad_in_mid_run(method, case, toy_prior, monkeypatch):
    prior, asked = toy_prior.random_prior(), []
    predict = prior.predict

    def mad(z, t):
        asked.append(t)
        z_0, epsilon = predict(z, t)
        return (z_0, epsilon) if len(asked) < 4 else (z_0 * float("nan"), epsilon)

    monkeypatch.setattr(prior, "predict", mad)
    with pytest.raises(PriorError, match=f"{method.name} diverged at step 4 of {N_STEPS}"):
        case.run(method, prior)


@RIVAL
def test_images_that_do_not_fit_the_networks(method, toy_prior):
    grid = ImageGrid((30, 32), 6.0)
    A = SparseProjector(ParallelBeam.for_grid(grid, 5), grid)
    y = torch.zeros(1, 1, *A.range_shape)
    with pytest.raises(PriorError, match="multiples of 4; the image grid is 30 x 32"):
        method.load_solver()(y, A, toy_prior.random_prior(), sigma=torch.ones_like(y), generators=generators(0))


@SAMPLER
@pytest.mark.parametrize("seeds", [(), (1,), (1, 2, 3)])
def test_one_generator_a_slice(method, case, toy_prior, seeds):
    with pytest.raises(UsageError, match=f"{method.name}: there are {len(seeds)} generators for 2 slices"):
        case.run(method, toy_prior.random_prior(), generators=generators(*seeds))


@RIVAL
@pytest.mark.parametrize("change", [{"n_steps": 0}, {"n_steps": -1}], ids=str)
def test_settings_of_all(method, change):
    with pytest.raises(UsageError, match=f"{method.name} settings"):
        replace(method.load_settings(), **change)
