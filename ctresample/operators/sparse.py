"""The projector as one sparse matrix and its stored transpose: an exact adjoint, batched, differentiable."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from scipy import sparse

from ctresample.errors import GeometryError
from ctresample.geometry import Geometry, Grid
from ctresample.operators.joseph import joseph_blocks
from ctresample.operators.projector import Projector


class SparseProjector(Projector):
    """Line integrals by a stored matrix; see `Projector`.

    Memory is about ``29 * rows * columns * views`` bytes for a slice (`matrix_bytes`); `make_projector` chooses
    a `StreamedProjector` where that is too much. Gradients do not go through torch's own product, which would
    transpose the matrix at every call, hundreds of times slower.
    """

    def __init__(
        self,
        geometry: Geometry,
        grid: Grid,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(geometry, grid, device, dtype)
        matrix, transpose = _matrix_pair(geometry, grid)
        self._matrix = _to_torch(matrix, self.device, dtype)
        self._transpose = _to_torch(transpose, self.device, dtype)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        y = _product(self._matrix, x).unflatten(1, (self.geometry.n_views, *self.geometry.view_shape))
        return y.movedim(1, -2)[:, None].contiguous()  # rays are counted view by view

    def back_project(self, y: torch.Tensor) -> torch.Tensor:
        return _product(self._transpose, y[:, 0].movedim(-2, 1)).reshape(-1, 1, *self.domain_shape)


def matrix_bytes(geometry: Geometry, grid: Grid) -> int:
    """About how much memory a `SparseProjector` takes in single precision, matrix and transpose."""
    n_neighbours = 2 ** (len(grid.shape) - 1)
    # on average a ray crosses little more than half the grid: the detector covers its corners
    entries = 0.6 * math.prod(geometry.shape) * max(grid.shape) * n_neighbours
    return int(2 * 8 * entries)


def joseph_matrix(geometry: Geometry, grid: Grid) -> sparse.csr_array:
    """Line integrals as a matrix.

    Returns:
        CSR ``(rays, pixels)``, float32 weights in mm, int32 indices: rays counted view by view times row-major
        image, so that ``matrix @ mu`` has no unit when ``mu`` is in 1/mm.

    Raises:
        GeometryError: the source lies inside the image, or the matrix would overflow 32-bit indices.
    """
    geometry.check_outside(grid)
    shape = math.prod(geometry.shape), math.prod(grid.shape)
    if shape[0] * max(grid.shape) * 2 ** (len(grid.shape) - 1) >= 2**31:
        raise GeometryError(
            f"{geometry.n_views} views of {math.prod(geometry.view_shape)} bins on {' x '.join(map(str, grid.shape))} "
            "pixels need more than 2^31 matrix entries; use fewer views, a smaller image or a StreamedProjector"
        )
    counts, indices, weights = [], [], []
    for _, pixel, weight in joseph_blocks(geometry, grid):
        kept = weight.numpy() != 0
        counts.append(kept.sum(axis=1))
        indices.append(pixel.numpy()[kept])
        weights.append(weight.numpy()[kept])
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int32)
    matrix = sparse.csr_array((_joined(weights), _joined(indices), indptr), shape=shape)
    matrix.sort_indices()
    return matrix


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """The parts in one array; each is let go as it is copied, so that all are not held twice."""
    whole = np.empty(sum(map(len, parts)), parts[0].dtype)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
    return whole


def _product(matrix: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    """``batch @ matrix^T`` of a batch of vectors of any shape, ``(B, rows of the matrix)``."""
    vectors = batch.flatten(1)
    if len(vectors) == 1:  # a matrix-vector product is faster than a matrix-matrix product of width one
        return (matrix @ vectors[0])[None]
    return (matrix @ vectors.t()).t()


@lru_cache(maxsize=4)
def _matrix_pair(geometry: Geometry, grid: Grid) -> tuple[sparse.csr_array, sparse.csr_array]:
    matrix = joseph_matrix(geometry, grid)
    return matrix, matrix.T.tocsr()


def _to_torch(matrix: sparse.csr_array, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    # 32-bit indices: torch's CPU kernels are about five times faster with them
    return torch.sparse_csr_tensor(
        torch.from_numpy(matrix.indptr.astype("int32", copy=False)),
        torch.from_numpy(matrix.indices.astype("int32", copy=False)),
        torch.from_numpy(matrix.data).to(dtype),
        size=matrix.shape,
        check_invariants=False,
    ).to(device)
