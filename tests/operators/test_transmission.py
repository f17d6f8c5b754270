"""Counts and their likelihood against closed forms, torch's own and simulated noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import GeometryError, SinogramError, UsageError
from ctresample.geometry import ConeBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.operators import SparseProjector, Transmission

GRID = ImageGrid((6, 5), 20.0)
A = SparseProjector(ParallelBeam.for_grid(GRID, 4), GRID, dtype=torch.float64)


def images(batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.02 * torch.rand((batch, 1, *GRID.shape), generator=generator, dtype=torch.float64)


def poisson(expected: torch.Tensor) -> torch.Tensor:
    return torch.poisson(expected, generator=torch.Generator().manual_seed(1))


def test_beer_and_lambert():
    """At 0.0192 1/mm a column of six 20 mm pixels lets exp(-2.304) through."""
    x = torch.full((1, 1, *GRID.shape), 0.0192, dtype=torch.float64)
    middle = A.range_shape[1] // 2
    assert float(Transmission(A, 1000.0)(x)[0, 0, 0, middle]) == pytest.approx(1000 * math.exp(-0.0192 * 120), rel=1e-6)


def test_photons_of_each_ray():
    photons = np.arange(1.0, 1 + math.prod(A.range_shape)).reshape(A.range_shape)
    counts = Transmission(A, photons)(torch.zeros(2, 1, *GRID.shape, dtype=torch.float64))
    assert torch.equal(counts, torch.from_numpy(photons).expand(2, 1, -1, -1))


def test_photons_of_a_cone_beam_are_the_same_in_every_row():
    grid = VolumeGrid((2, 3, 3), 20.0, 20.0)
    C = SparseProjector(ConeBeam.for_grid(grid, 3), grid)
    photons = np.arange(1.0, 1 + math.prod(C.range_shape[1:])).reshape(C.range_shape[1:])
    counts = Transmission(C, photons)(torch.zeros(1, 1, *grid.shape))
    assert torch.equal(counts[0, 0], torch.from_numpy(photons).float().expand(C.range_shape))


def test_likelihood_is_that_of_torch():
    model, x = Transmission(A, 30.0), images()
    counts = poisson(model(images() * 1.3))
    expected = torch.nn.functional.poisson_nll_loss(model(x).log(), counts, log_input=True, reduction="none")
    assert torch.allclose(model.negative_log_likelihood(x, counts), expected.sum(dim=(1, 2, 3)), rtol=1e-12)


def test_likelihood_with_electronic_noise():
    """Shifted Poisson, by hand."""
    model, x = Transmission(A, 30.0, electronic_noise=3.0), images()
    counts = poisson(model(x)) - 2.0
    mean = 30 * torch.exp(-A(x)) + 9
    expected = (mean - (counts + 9) * mean.log()).sum(dim=(1, 2, 3))
    assert torch.allclose(model.negative_log_likelihood(x, counts), expected, rtol=1e-12)


@pytest.mark.parametrize("electronic_noise", [0.0, 3.0])
def test_gradient_of_the_likelihood(electronic_noise):
    model, x = Transmission(A, 30.0, electronic_noise=electronic_noise), images(1).requires_grad_()
    counts = poisson(model(x.detach()))
    counts[0, 0, 1] = 0
    f = lambda v: model.negative_log_likelihood(v, counts)  # noqa: E731
    assert torch.autograd.gradcheck(f, (x,))
    assert torch.autograd.gradgradcheck(f, (x,))
    (gradient,) = torch.autograd.grad(f(x).sum(), x)
    with torch.no_grad():  # A^T of what each ray lacks, times the share of its variance that is photons
        excess = counts - model(x)
        expected = A.T(excess * model(x) / (model(x) + electronic_noise**2))
    assert torch.allclose(gradient, expected, rtol=1e-10)


def test_likelihood_where_nothing_arrives():
    """e^-900 is 0 even in double precision, but not its logarithm."""
    model, x = Transmission(A, 1e4), torch.full((1, 1, *GRID.shape), 9.0, dtype=torch.float64).requires_grad_()
    value = model.negative_log_likelihood(x, torch.ones((1, 1, *A.range_shape), dtype=torch.float64))
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert (model(x) == 0).any()
    assert torch.isfinite(value).all()
    assert torch.isfinite(gradient).all()
    assert (gradient > 0).any()


@given(count=st.floats(0, 1e6), electronic_noise=st.floats(0, 100))
def test_sigma(count, electronic_noise):
    model = Transmission(A, 1e6, electronic_noise=electronic_noise)
    found = model.sigma(torch.full((1, 1, *A.range_shape), count, dtype=torch.float64))
    assert float(found.max()) == pytest.approx(math.sqrt(max(count, 1) + electronic_noise**2))


def test_whitened_counts_have_variance_one():
    model, x = Transmission(A, 500.0, electronic_noise=5.0), images(1)
    rng = np.random.default_rng(0)
    expected = model(x).numpy()
    counts = torch.from_numpy(
        rng.poisson(expected, (400, *expected.shape[1:])) + rng.normal(0, 5, (400, *expected.shape[1:]))
    )
    z = (counts - model(x)) / model.sigma(model(x))
    assert abs(float(z.mean())) < 4 / z.numel() ** 0.5
    assert float(z.var()) == pytest.approx(1, abs=4 * (2 / z.numel()) ** 0.5)


@pytest.mark.parametrize("photons", [0.0, -5.0, float("nan"), float("inf")])
def test_photons_that_cannot_be(photons):
    with pytest.raises(UsageError, match="photons .*finite numbers above 0"):
        Transmission(A, photons)


def test_photons_of_another_scan():
    with pytest.raises(UsageError, match=r"photons have shape \(3, 3\)"):
        Transmission(A, np.ones((3, 3)))


@pytest.mark.parametrize("electronic_noise", [-1.0, float("nan")])
def test_electronic_noise_that_cannot_be(electronic_noise):
    with pytest.raises(UsageError, match="electronic_noise"):
        Transmission(A, 10.0, electronic_noise=electronic_noise)


@pytest.mark.parametrize(
    ("value", "electronic_noise", "message"),
    [
        (-1.0, 0.0, "go down to -1; expected at least 0"),
        (-61.0, 10.0, "go down to -61; expected at least -60"),
        (float("nan"), 0.0, "NaN or infinite"),
        (float("inf"), 0.0, "NaN or infinite"),
    ],
)
def test_counts_that_cannot_be(value, electronic_noise, message):
    counts = torch.ones((2, 1, *A.range_shape), dtype=torch.float64)
    counts[1, 0, 2, 3] = value
    with pytest.raises(SinogramError, match=message):
        Transmission(A, 10.0, electronic_noise=electronic_noise).negative_log_likelihood(images(), counts)


def test_counts_of_another_shape():
    with pytest.raises(GeometryError, match="counts has shape"):
        Transmission(A, 10.0).negative_log_likelihood(images(), torch.ones(2, 1, 3, 3, dtype=torch.float64))
