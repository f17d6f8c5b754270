"""Operators made of operators."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.errors import GeometryError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import LinearOperator, SparseProjector, dot_test


class Matrix(LinearOperator):
    def __init__(self, matrix: torch.Tensor, exact: bool = True) -> None:
        self.matrix, self.exact_adjoint = matrix, exact
        self.domain_shape, self.range_shape = (1, matrix.shape[1]), (1, matrix.shape[0])
        self.device, self.dtype = torch.device("cpu"), matrix.dtype

    def forward(self, x):
        return x @ self.matrix.T

    def adjoint(self, y):
        return y @ self.matrix


def matrix(rows, columns, seed=0, exact=True):
    return Matrix(torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), exact)


def test_composition_is_the_product(phantoms):
    A, B = matrix(4, 6), matrix(6, 3, seed=1)
    assert phantoms.matrix_of(A @ B) == pytest.approx(phantoms.matrix_of(A) @ phantoms.matrix_of(B))
    assert dot_test(A @ B) < 1e-14
    with pytest.raises(GeometryError, match="do not fit"):
        B @ A


def test_multiple(phantoms):
    A = matrix(4, 6)
    assert phantoms.matrix_of(-2.5 * A) == pytest.approx(-2.5 * phantoms.matrix_of(A))
    assert dot_test(-2.5 * A) < 1e-14


def test_normalised():
    grid = ImageGrid((9, 7), 1.2)
    A = SparseProjector(ParallelBeam.for_grid(grid, 8), grid, dtype=torch.float64).normalised()
    assert A.norm() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize(("outer", "inner"), [(True, True), (True, False), (False, True)])
def test_what_is_made_of_an_inexact_pair_is_inexact(outer, inner):
    A, B = matrix(4, 6, exact=outer), matrix(6, 3, exact=inner)
    assert (A @ B).exact_adjoint == (outer and inner)
    assert (2.0 * B).exact_adjoint == inner
    assert np.isclose((2.0 * B).norm(), 2 * B.norm())
