"""ReSample with counts and with a polychromatic beam: the same algorithm, hard-consistent with either."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ctresample.consistency import residual_ratio
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import Polychromatic, SparseProjector, Transmission, WeightedModel
from ctresample.solvers.resample import ReSampleSettings, resample

GRID = ImageGrid((32, 32), 6.0)
A = SparseProjector(ParallelBeam.for_grid(GRID, 10), GRID)
CG = ReSampleSettings(
    n_steps=16,
    start_level=0.3,
    warm_start="tv",
    pixel_level=1.0,
    latent_level=0.0,
    skip=1,
    inner_steps=0,
    pixel_optimiser="cg",
    encoding="corrected",
    cg_iterations=6,
    final="pixel",
    final_spread_hu=100.0,
    final_iterations=200,
)
ADAMW = ReSampleSettings(n_steps=20, skip=5, inner_steps=1, pixel_iterations=200, latent_lr=2e-2, latent_iterations=400)
SETTINGS = pytest.mark.parametrize("settings", [CG, ADAMW], ids=["cg", "adamw"])
MODELS = pytest.mark.parametrize("kind", ["transmission", "polychromatic"])


class Case:
    """Two slices and their noisy data."""

    def __init__(self, kind: str, phantoms) -> None:
        image = phantoms.image(GRID, phantoms.head(GRID))
        self.truth = phantoms.as_batch(image, image.T)
        generator = torch.Generator().manual_seed(0)
        if kind == "transmission":
            self.F = Transmission(A, 2000.0)
            self.sigma = self.F.sigma(self.F(self.truth))
            self.y = torch.poisson(self.F(self.truth), generator=generator)
        else:
            self.F = Polychromatic(A)
            self.sigma = torch.full_like(A(self.truth), 0.02)
            self.y = self.F(self.truth) + 0.02 * torch.randn(self.sigma.shape, generator=generator)
        self.blurred = torch.nn.functional.avg_pool2d(self.truth, 5, 1, 2)

    def run(self, prior, settings: ReSampleSettings, slices=(0, 1)) -> torch.Tensor:
        k = list(slices)
        return resample(
            self.y[k],
            self.F,
            prior,
            sigma=self.sigma[k],
            settings=settings,
            generators=[torch.Generator().manual_seed(5 + i) for i in k],
            start=self.blurred[k] if settings.start_level < 1 else None,
        )

    def misfit(self, x: torch.Tensor) -> torch.Tensor:
        return residual_ratio((self.F(x) - self.y) / self.sigma)


@SETTINGS
@MODELS
def test_the_residual_is_at_the_noise_level(kind, settings, phantoms, toy_prior):
    case, prior = Case(kind, phantoms), toy_prior.GaussianPrior()
    prior.scale_hu = 500.0
    x = case.run(prior, settings)
    ratios = case.misfit(x)
    assert ((ratios > 0.7) & (ratios < 1.3)).all()
    assert (case.misfit(case.blurred) > 2).all()


@MODELS
def test_even_an_untrained_prior_is_brought_to_the_data(kind, phantoms, toy_prior):
    case, prior = Case(kind, phantoms), toy_prior.random_prior()
    bare = case.run(prior, replace(CG, final="latent", latent_iterations=0))
    assert (case.misfit(case.run(prior, CG)) < 0.7 * case.misfit(bare)).all()


@MODELS
def test_a_batch_is_its_slices_alone(kind, phantoms, toy_prior):
    case, prior = Case(kind, phantoms), toy_prior.random_prior()
    settings = replace(CG, n_steps=8, final_iterations=50)
    together = case.run(prior, settings)
    assert torch.equal(together, case.run(prior, settings))
    for k in range(2):
        assert phantoms.relative(together[k], case.run(prior, settings, slices=[k])[0]) < 1e-3


def test_newton_iterations_are_those_of_the_settings(phantoms, toy_prior, monkeypatch):
    case, linearisations = Case("transmission", phantoms), []
    original = WeightedModel.linearised
    monkeypatch.setattr(WeightedModel, "linearised", lambda F, x: linearisations.append(x) or original(F, x))
    case.run(toy_prior.GaussianPrior(), replace(CG, n_steps=4, newton_iterations=3))
    n_steps = 2  # below the start level
    assert len(linearisations) == 3 * (n_steps + 1)
