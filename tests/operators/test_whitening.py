"""Weights turn measured values into units of their noise."""

from __future__ import annotations

import pytest
import torch

from ctresample.errors import GeometryError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, Weighted, dot_test

GRID = ImageGrid((16, 12), 2.0)
BEAMS = pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])


def projector(beam: type = ParallelBeam) -> SparseProjector:
    return SparseProjector(beam.for_grid(GRID, 6), GRID)


def random_weights(A: SparseProjector, batch: int = 1) -> torch.Tensor:
    return torch.rand((batch, 1, *A.range_shape), generator=torch.Generator().manual_seed(1)) + 0.5


@BEAMS
@pytest.mark.parametrize("batch", [1, 2])
def test_adjoint(beam, batch):
    A = projector(beam)
    assert dot_test(Weighted(A, random_weights(A, batch))) < 1e-6


def test_weights_multiply_each_value():
    A = projector()
    weights = random_weights(A, 2)
    x = torch.rand(2, 1, *GRID.shape)
    assert torch.equal(Weighted(A, weights)(x), weights * A(x))


def test_shapes_and_device_are_those_of_the_projector():
    A = projector()
    W = Weighted(A, random_weights(A))
    assert (W.domain_shape, W.range_shape, W.device, W.dtype) == (A.domain_shape, A.range_shape, A.device, A.dtype)
    with pytest.raises(GeometryError, match="image has shape"):
        W(torch.zeros(1, 1, 12, 16))


def test_gradients():
    A = SparseProjector(ParallelBeam.for_grid(GRID, 2), GRID, dtype=torch.float64)
    weights = random_weights(A).double()
    x = torch.rand(1, 1, *GRID.shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Weighted(A, weights), (x,))


def test_whitened_noise_has_variance_one():
    A = projector()
    sigma = 0.1 * random_weights(A)
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(1, 1, *GRID.shape)
    y = A(x) + sigma * torch.randn((200, *sigma.shape[1:]), generator=generator)
    residual = y / sigma - Weighted(A, 1 / sigma)(x)
    n = residual.numel()
    assert float(residual.square().mean()) == pytest.approx(1, abs=5 * (2 / n) ** 0.5)
