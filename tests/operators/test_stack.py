"""Slices as one volume: the same numbers as slice by slice, exact adjoints, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.errors import GeometryError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, StackProjector, dot_test
from ctresample.operators.neighbour_views import NeighbourViews
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


@pytest.fixture(scope="module")
def neighbour_views(stack) -> NeighbourViews:
    """Of one neighbour to each side and of one two slices on, the last slices having none."""
    alike = {j: torch.rand(1, 1, *stack.domain_shape, dtype=torch.float64) for j in (-1, 0, 1, 2)}
    weights = {j: torch.rand(1, 1, *stack.range_shape, dtype=torch.float64) for j in alike}
    for j, weight in weights.items():
        for k in range(5):
            weight[:, :, k] *= 0 <= k + j < 5
    return NeighbourViews(stack, alike, weights)


def test_adjoints(stack, neighbour_views):
    for operator in (stack, SlicesOf(stack), neighbour_views):
        batch = 2 if operator is stack else 5
        assert dot_test(operator, batch=batch) < 1e-12


def test_gradients(stack):
    x = torch.rand(1, 1, *stack.domain_shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(stack, (x,))


def test_views_of_a_slice_do_not_see_the_others(neighbour_views):
    """Nothing goes round from the last slices to the first."""
    x = torch.rand(5, 1, *neighbour_views.domain_shape, dtype=torch.float64)
    alone = torch.zeros_like(x)
    alone[4] = x[4]
    seen = neighbour_views(alone)
    assert not seen[:4].any()
    torch.testing.assert_close(seen[4], neighbour_views(x)[4], rtol=1e-12, atol=1e-12)
    _, _, after, two_on = seen[4, 0].reshape(4, *SCAN.shape)
    assert not after.any()
    assert not two_on.any()


def test_row_norms_are_those_of_the_slices(stack):
    assert stack.row_norms.shape == (1, 1, *stack.range_shape)
    torch.testing.assert_close(stack.row_norms[0, 0, 1], stack.projectors[1].row_norms[0, 0])
    torch.testing.assert_close(SlicesOf(stack).row_norms[3, 0], stack.projectors[3].row_norms[0, 0])


def test_projectors_must_fit_each_other():
    other = SparseProjector(SCAN, ImageGrid((9, 8), pixel_size_mm=2.0), dtype=torch.float64)
    with pytest.raises(GeometryError, match="projectors of slices on one grid"):
        StackProjector([projector(0.0), other], 1.0)
