"""The projector as one sparse matrix and its stored transpose: an exact adjoint, batched, differentiable."""

from __future__ import annotations

import math
import warnings
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse

from ctresample.errors import GeometryError
from ctresample.geometry import Geometry, Grid
from ctresample.operators.joseph import joseph_blocks
from ctresample.operators.projector import Projector

# torch says so at the first sparse matrix of a process; the projector needs no more than products
warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state", UserWarning)

_TILE = 8
"""Inside the matrix pixels are counted tile by tile of this many rows and columns, so that the pixels along a ray lie
near each other in memory, whatever its direction: a product with a batch of images takes a third less time."""


KEPT_BYTES = 6 * 2**30
"""Of matrices that are kept on the host when no projector needs them any more."""

_Pair: TypeAlias = tuple[sparse.csr_array, sparse.csr_array]
_kept: dict[tuple[Geometry, Grid], _Pair] = {}


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
        super().__init__(geometry, grid, device=device, dtype=dtype)
        matrix, transpose = _matrix_pair(geometry, grid)
        self._matrix = _to_torch(matrix, self.device, dtype)
        self._transpose = _to_torch(transpose, self.device, dtype)

    @cached_property
    def row_norms(self) -> torch.Tensor:
        m = self._matrix
        squares = torch.sparse_csr_tensor(
            m.crow_indices(), m.col_indices(), m.values().square(), size=m.shape, check_invariants=False
        )
        sums = squares @ torch.ones(m.shape[1], dtype=m.dtype, device=m.device)
        views = sums.sqrt().unflatten(0, (self.geometry.n_views, *self.geometry.view_shape))
        return views.movedim(0, -2)[None, None].contiguous()

    def project(self, x: torch.Tensor) -> torch.Tensor:
        y = _product(self._matrix, _tiled(x)).t().unflatten(1, (self.geometry.n_views, *self.geometry.view_shape))
        return y.movedim(1, -2)[:, None].contiguous()  # rays are counted view by view

    def back_project(self, y: torch.Tensor) -> torch.Tensor:
        rays = y[:, 0].movedim(-2, 1).flatten(1).t().contiguous()
        return _untiled(_product(self._transpose, rays), self.domain_shape)


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
    # room for the most there can be: pages that stay untouched take no memory
    most = shape[0] * max(grid.shape) * 2 ** (len(grid.shape) - 1)
    indices, weights = np.empty(most, np.int32), np.empty(most, np.float32)
    ends = np.zeros(shape[0] + 1, np.int64)
    end = 0
    for rays, pixel, weight in joseph_blocks(geometry, grid):
        kept = weight.numpy() != 0
        ends[rays.start + 1 : rays.stop + 1] = end + kept.sum(axis=1).cumsum()
        begin, end = end, int(ends[rays.stop])
        indices[begin:end], weights[begin:end] = pixel.numpy()[kept], weight.numpy()[kept]
    return sparse.csr_array((weights[:end], indices[:end], ends.astype(np.int32)), shape=shape)


def _tiled(x: torch.Tensor) -> torch.Tensor:
    """Images as columns ``(tiles * pixels of a tile, B)``, padded with zeros to whole tiles.

    A pixel's values in all images lie side by side: where the product wants them, in the one copy made anyway.
    """
    rows, columns = x.shape[-2:]
    padded = F.pad(x[:, 0], (0, -columns % _TILE, 0, -rows % _TILE))
    tiles = padded.unflatten(-2, (-1, _TILE)).unflatten(-1, (-1, _TILE)).transpose(-3, -2)
    return tiles.movedim(0, -1).reshape(-1, len(x))


def _untiled(columns: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The images ``(B, 1, *shape)`` again."""
    n_rows, n_columns = shape[-2:]
    tiles = columns.reshape(*shape[:-2], -(-n_rows // _TILE), -(-n_columns // _TILE), _TILE, _TILE, columns.shape[1])
    padded = tiles.movedim(-1, 0).transpose(-3, -2).flatten(-4, -3).flatten(-2, -1)
    return padded[:, None, ..., :n_rows, :n_columns].contiguous()


def _product(matrix: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    if columns.shape[1] == 1:  # a matrix-vector product is faster than a matrix-matrix product of width one
        return (matrix @ columns[:, 0])[:, None]
    return matrix @ columns


def _matrix_pair(geometry: Geometry, grid: Grid) -> _Pair:
    """Matrix and transpose on the host, those used last kept for the next projector of their scan."""
    pair = _kept.pop((geometry, grid), None) or _made_pair(geometry, grid)
    _kept[geometry, grid] = pair
    while sum(map(_bytes, _kept.values())) > KEPT_BYTES:
        _kept.pop(next(iter(_kept)))
    return pair


def _bytes(pair: _Pair) -> int:
    return sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in pair)


def _made_pair(geometry: Geometry, grid: Grid) -> _Pair:
    matrix = joseph_matrix(geometry, grid)
    pixels = torch.arange(1, math.prod(grid.shape) + 1, dtype=torch.int32).reshape(1, 1, *grid.shape)
    tiled = _tiled(pixels)[:, 0].numpy()
    place = np.empty(math.prod(grid.shape), np.int32)  # of each pixel in its tile
    place[tiled[tiled > 0] - 1] = np.flatnonzero(tiled)
    matrix = sparse.csr_array((matrix.data, place[matrix.indices], matrix.indptr), shape=(matrix.shape[0], len(tiled)))
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
