"""What a Gaussian prior and Gaussian noise leave to be known, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def gaussian_posterior(matrix: Array, y: Array, sigma: Array, *, mean: float, spread: float) -> tuple[Array, Array]:
    """Mean and covariance of ``x`` given ``y = matrix @ x + noise``.

    Beforehand the pixels of ``x`` are independent and normal, as those of `ctresample.testing.priors.GaussianPrior`.

    Example:
        >>> mean, covariance = gaussian_posterior(np.eye(1), np.array([2.0]), np.array([1.0]), mean=0.0, spread=1.0)
        >>> float(mean[0]), float(covariance[0, 0])
        (1.0, 0.5)

    Args:
        matrix: ``(measurements, pixels)``; see `ctresample.testing.phantoms.matrix_of`.
        y: ``(measurements,)``.
        sigma: standard deviation of each measurement.
        mean: of each pixel beforehand.
        spread: standard deviation of each pixel beforehand.

    Returns:
        ``(pixels,)`` and ``(pixels, pixels)``.
    """
    whitened = spread * matrix / sigma[:, None]  # of z = (x - mean) / spread
    data = (y - mean * matrix.sum(1)) / sigma
    covariance = np.linalg.inv(whitened.T @ whitened + np.eye(matrix.shape[1]))
    return mean + spread * covariance @ whitened.T @ data, spread**2 * covariance
