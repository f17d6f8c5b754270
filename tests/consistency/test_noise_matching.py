"""Images whose residual is what the noise predicts, come to from either side."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctresample.consistency import match_noise, residual_ratio
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, Transmission, Weighted, WeightedModel

GRID = ImageGrid((16, 16), 4.0)
A = SparseProjector(ParallelBeam.for_grid(GRID, 6), GRID, dtype=torch.float64)


class Case:
    """A truth, its data with noise, and two images: one that fits the noise and one that is off."""

    def __init__(self, sigma: float) -> None:
        generator = torch.Generator().manual_seed(0)
        self.truth = 0.02 * torch.rand((2, 1, *GRID.shape), generator=generator, dtype=torch.float64)
        noise = torch.randn((2, 1, *A.range_shape), generator=generator, dtype=torch.float64)
        self.W = Weighted(A, torch.full_like(noise[:1], 1 / sigma))
        self.y = self.W(self.truth) + noise
        self.off = self.truth + 0.01 * torch.rand(self.truth.shape, generator=generator, dtype=torch.float64)
        self.overfit = match_noise(self.off, self.off, self.y, self.W, max_iterations=200, target=0.3)

    def ratio(self, x: torch.Tensor) -> torch.Tensor:
        return residual_ratio(self.W(x) - self.y)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(0.01)


@settings(max_examples=20)
@given(target=st.floats(0.6, 3.0))
def test_an_image_that_fits_noise_goes_back_towards_the_prior(case, target):
    assert (case.ratio(case.overfit) < 0.5).all()
    assert (case.ratio(case.off) > 3).all()
    x = match_noise(case.overfit, case.off, case.y, case.W, max_iterations=50, target=target)
    assert case.ratio(x) == pytest.approx(target, rel=1e-6)
    way, moved = (v - case.overfit for v in (case.off, x))
    share = (moved * way).flatten(1).sum(1) / (way * way).flatten(1).sum(1)
    assert ((share > 0) & (share < 1)).all()
    assert torch.allclose(moved, share.view(-1, 1, 1, 1) * way, atol=1e-8)  # on the straight line between both


def test_an_image_that_does_not_fit_is_fitted(case):
    x = match_noise(case.off, case.off, case.y, case.W, max_iterations=100)
    assert case.ratio(x) == pytest.approx(1, rel=1e-6)


def test_each_slice_by_itself(case):
    """One that fits noise beside one that does not fit."""
    mixed = torch.stack([case.overfit[0], case.off[1]])
    together = match_noise(mixed, case.off, case.y, case.W, max_iterations=100)
    assert case.ratio(together) == pytest.approx(1, rel=1e-6)
    for k in range(2):
        one = slice(k, k + 1)
        alone = match_noise(mixed[one], case.off[one], case.y[one], case.W, max_iterations=100)
        assert torch.allclose(together[one], alone, rtol=1e-6)


def test_where_the_prior_fits_noise_too_nothing_can_be_done(case):
    x = match_noise(case.overfit, case.overfit, case.y, case.W, max_iterations=100)
    assert torch.equal(x, case.overfit)


def test_an_image_at_the_level_stays(case):
    once = match_noise(case.overfit, case.off, case.y, case.W, max_iterations=50)
    assert torch.allclose(match_noise(once, case.off, case.y, case.W, max_iterations=50), once, rtol=1e-6)


def test_without_noise_it_fits_as_far_as_it_may_and_ends():
    """A noise far below what the iterations or single precision can reach."""
    exact = SparseProjector(A.geometry, GRID)
    truth = 0.02 * torch.rand((1, 1, *GRID.shape), generator=torch.Generator().manual_seed(1))
    W = Weighted(exact, torch.full((1, 1, *exact.range_shape), 1e9))
    y, start = W(truth), truth + 0.01
    x = match_noise(start, start, y, W, max_iterations=60)
    assert torch.isfinite(x).all()
    assert residual_ratio(W(x) - y) < 1e-3 * residual_ratio(W(start) - y)


def test_counts():
    generator = torch.Generator().manual_seed(0)
    truth = 0.02 * torch.rand((2, 1, *GRID.shape), generator=generator, dtype=torch.float64)
    F = Transmission(A, 500.0)
    sigma = F.sigma(F(truth))
    model, y = WeightedModel(F, 1 / sigma), torch.poisson(F(truth), generator=generator) / sigma
    off = truth + 0.01

    def ratio(x: torch.Tensor) -> torch.Tensor:
        return residual_ratio(model(x) - y)

    assert (ratio(off) > 1.5).all()
    overfit = match_noise(off, off, y, model, max_iterations=100, target=0.4)
    assert (ratio(overfit) < 0.6).all()
    assert ratio(match_noise(off, off, y, model, max_iterations=100)) == pytest.approx(1, rel=0.01)
    assert ratio(match_noise(overfit, off, y, model, max_iterations=100)) == pytest.approx(1, rel=0.01)
