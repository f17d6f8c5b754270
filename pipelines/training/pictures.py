"""Grey pictures that show how a training goes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

WINDOW_HU = (-160.0, 240.0)
"""Black and white of the pictures: soft tissue, where errors matter most and show first."""
DIFFERENCE_HU = 100.0
"""Differences are shown from minus to plus this, grey where there is none."""


def reconstructions(truth_hu: ArrayLike, seen_hu: ArrayLike) -> NDArray[np.uint8]:
    """A row a slice: truth, reconstruction, and their difference.

    Args:
        truth_hu: slices ``(n, rows, columns)`` in HU.
        seen_hu: what the autoencoder makes of them.
    """
    truth, seen = np.asarray(truth_hu), np.asarray(seen_hu)
    difference = _grey(seen - truth, -DIFFERENCE_HU, DIFFERENCE_HU)
    columns = (_grey(truth, *WINDOW_HU), _grey(seen, *WINDOW_HU), difference)
    return _tiles(np.stack(columns, axis=1).reshape(-1, *truth.shape[1:]), 3)


def sample_grid(hu: ArrayLike) -> NDArray[np.uint8]:
    """Samples ``(n, rows, columns)`` in HU, side by side in a square."""
    samples = _grey(np.asarray(hu), *WINDOW_HU)
    return _tiles(samples, math.ceil(math.sqrt(len(samples))))


def _grey(hu: NDArray[np.floating], black_hu: float, white_hu: float) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip((hu - black_hu) / (white_hu - black_hu), 0, 1)).astype(np.uint8)


def _tiles(images: NDArray[np.uint8], n_columns: int) -> NDArray[np.uint8]:
    """Images ``(n, rows, columns)`` row by row as one; what is missing from the last row is black."""
    n_rows = math.ceil(len(images) / n_columns)
    full = np.zeros((n_rows * n_columns, *images.shape[1:]), np.uint8)
    full[: len(images)] = images
    height, width = images.shape[1:]
    grid = full.reshape(n_rows, n_columns, height, width).swapaxes(1, 2)
    return grid.reshape(n_rows * height, n_columns * width)
