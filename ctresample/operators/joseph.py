"""The system matrix of a 2D scan with Joseph's weights.

Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE TMI 1(3), 1982: a ray steps
through the image along its steeper axis and interpolates linearly between the two pixels it passes between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ctresample.errors import GeometryError
from ctresample.geometry import Geometry, ImageGrid, check_rays_outside


def joseph_matrix(geometry: Geometry, grid: ImageGrid) -> sparse.csr_array:
    """Line integrals as a matrix.

    Returns:
        CSR ``(n_views * n_detectors, rows * columns)``, float32 weights in mm, int32 indices: row-major views and
        detectors times row-major image, so that ``matrix @ mu`` has no unit when ``mu`` is in 1/mm.

    Raises:
        GeometryError: the source lies inside the image, or the matrix would overflow 32-bit indices.
    """
    check_rays_outside(geometry, grid)
    if 2.0 * geometry.n_views * geometry.n_detectors * max(grid.shape) >= 2**31:
        raise GeometryError(
            f"{geometry.n_views} views of {geometry.n_detectors} bins on {grid.shape[0]} x {grid.shape[1]} pixels "
            "need more than 2^31 matrix entries; use fewer views or a smaller image"
        )
    views = [_view_block(geometry, grid, view) for view in range(geometry.n_views)]
    counts = np.concatenate([block[0] for block in views])
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    indices = np.concatenate([block[1] for block in views])
    weights = np.concatenate([block[2] for block in views])
    shape = (geometry.n_views * geometry.n_detectors, grid.shape[0] * grid.shape[1])
    matrix = sparse.csr_array((weights, indices, indptr), shape=shape)
    matrix.sort_indices()
    return matrix


def _view_block(
    geometry: Geometry, grid: ImageGrid, view: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Entries a ray, then column indices and weights of all rays of one view."""
    points, directions = geometry.rays(view)
    steep = np.abs(directions[:, 1]) >= np.abs(directions[:, 0])
    n_steps = max(grid.shape)
    index = np.zeros((geometry.n_detectors, n_steps, 2), dtype=np.int32)
    weight = np.zeros((geometry.n_detectors, n_steps, 2), dtype=np.float32)
    rows, columns = grid.shape
    for along_rows in (True, False):
        chosen = steep if along_rows else ~steep
        if not chosen.any():
            continue
        # "step" walks the axis the ray is steeper in, "cross" is the axis it interpolates in
        step, cross = (1, 0) if along_rows else (0, 1)
        step_mm = grid.y_mm if along_rows else grid.x_mm
        n_cross = columns if along_rows else rows
        p, d = points[chosen], directions[chosen]
        cross_mm = p[:, cross, None] + (step_mm - p[:, step, None]) * (d[:, cross] / d[:, step])[:, None]
        cross_sign = 1 if along_rows else -1  # columns grow with x, rows against y
        position = cross_sign * cross_mm / grid.pixel_size_mm + (n_cross - 1) / 2
        first = np.floor(position)
        fraction = position - first
        length = (grid.pixel_size_mm / np.abs(d[:, step]))[:, None]
        step_index = np.arange(len(step_mm))
        for side, part in ((0, 1.0 - fraction), (1, fraction)):
            pixel = first.astype(np.int64) + side
            inside = (pixel >= 0) & (pixel < n_cross)
            flat = step_index * columns + pixel if along_rows else pixel * columns + step_index
            index[chosen, : len(step_mm), side] = np.where(inside, flat, 0)
            weight[chosen, : len(step_mm), side] = np.where(inside, part * length, 0.0)
    kept = weight != 0
    return kept.sum(axis=(1, 2)), index[kept], weight[kept]
