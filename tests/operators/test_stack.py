"""Slices as one volume: the same numbers as slice by slice, exact adjoints, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.errors import GeometryError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, StackProjector, dot_test
from ctresample.operators.along_z import AlongZ, CorrelatedRows, Shifted
from ctresample.operators.stack import SlicesOf

GRID = ImageGrid((9, 8), pixel_size_mm=1.0)
SCAN = ParallelBeam.for_grid(GRID, n_views=5)


def projector(shift_rad: float) -> SparseProjector:
    turned = SCAN.with_angles(np.array(SCAN.angles_rad) + shift_rad)
    return SparseProjector(turned, GRID, dtype=torch.float64)


@pytest.fixture(scope="module")
def stack() -> StackProjector:
    first, second = projector(0.0), projector(0.2)
    return StackProjector([first, second, first, second, second], slice_step_mm=2.0)


def test_each_slice_is_seen_by_its_own_projector(stack):
    x = torch.rand(2, 1, *stack.domain_shape, dtype=torch.float64)
    seen = stack(x)
    assert seen.shape == (2, 1, 5, 5, SCAN.n_detectors)
    for k, one in enumerate(stack.projectors):
        torch.testing.assert_close(seen[:, :, k], one(x[:, :, k]), rtol=1e-12, atol=1e-12)


def test_equal_angles_share_one_matrix(stack):
    assert len({id(one) for one in stack.projectors}) == 2
    assert stack.steps_mm == (2.0, -1.0, 1.0)


def test_adjoints(stack):
    rho = torch.rand(4, 9, 8, dtype=torch.float64) * 0.9
    along = AlongZ(rho, stack.domain_shape, rho)
    for operator in (stack, SlicesOf(stack), along, CorrelatedRows(stack, along)):
        batch = 5 if isinstance(operator, SlicesOf) else 2
        assert dot_test(operator, batch=batch) < 1e-12


def test_gradients(stack):
    x = torch.rand(1, 1, *stack.domain_shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(stack, (x,))
    rho = torch.full((4, 1, 1), 0.7, dtype=torch.float64)
    shifted = Shifted(stack, torch.zeros_like(x), AlongZ(rho, stack.domain_shape, rho))
    assert torch.autograd.gradcheck(shifted, (x,))


def test_row_norms_are_those_of_the_slices(stack):
    assert stack.row_norms.shape == (1, 1, *stack.range_shape)
    torch.testing.assert_close(stack.row_norms[0, 0, 1], stack.projectors[1].row_norms[0, 0])
    torch.testing.assert_close(SlicesOf(stack).row_norms[3, 0], stack.projectors[3].row_norms[0, 0])


def test_errors_along_z_have_unit_variance_and_the_correlation_asked_for():
    rho = torch.tensor([0.9, 0.0, 0.5], dtype=torch.float64).view(3, 1, 1)
    along = AlongZ(rho, (4, 1, 1), rho)
    columns = along(torch.eye(4, dtype=torch.float64).view(4, 1, 4, 1, 1)).reshape(4, 4).T
    covariance = columns @ columns.T
    expected = torch.tensor([[1, 0.9, 0, 0], [0.9, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0.5, 1]], dtype=torch.float64)
    torch.testing.assert_close(covariance, expected)


def test_projectors_must_fit_each_other():
    other = SparseProjector(SCAN, ImageGrid((9, 8), pixel_size_mm=2.0), dtype=torch.float64)
    with pytest.raises(GeometryError, match="projectors of slices on one grid"):
        StackProjector([projector(0.0), other], 1.0)
