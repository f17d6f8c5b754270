"""Image quality against a known truth: PSNR, SSIM, RMSE and MAE of one slice in HU.

PSNR and SSIM depend on the data range they are told (the same pictures gain 3.5 dB from 2000 to
3000 HU), so it is a required argument here and stands beside every figure in a results table.
Nothing is clipped: air at -1024 HU, metal at 3000 HU and overshoot all count as they are.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.arrays import as_array
from ctresample.errors import CTResampleError, GeometryError, UsageError
from ctresample.units import AIR_HU

DATA_RANGE_HU = 3000.0
"""The project's data range: -1000 HU (air) to 2000 HU (dense bone)."""

# The 11 x 11 window of Wang et al. (2004): scikit-image cuts a Gaussian of sigma 1.5 at 3.5 sigma.
SSIM_WINDOW = 11


def psnr_db(image_hu: NDArray[np.floating[Any]], truth_hu: NDArray[np.floating[Any]], *, data_range_hu: float) -> float:
    """Peak signal-to-noise ratio, ``20 log10(data range / RMSE)``, over all pixels, unclipped.

    Example:
        >>> truth = np.zeros((16, 16))
        >>> psnr_db(truth + 30, truth, data_range_hu=3000)
        40.0

    Args:
        image_hu: the slice to judge, ``[y, x]`` in HU.
        truth_hu: the true slice, same shape, in HU.
        data_range_hu: what counts as the peak, in HU; see ``DATA_RANGE_HU``.

    Returns:
        PSNR in dB; infinity for identical slices.

    Raises:
        GeometryError: the slices are not 2D, are empty or differ in shape.
        UsageError: the data range is not a positive number.
        CTResampleError: a value is not finite.
    """
    _check_data_range(data_range_hu)
    error = rmse_hu(image_hu, truth_hu)
    return math.inf if error == 0 else 20 * math.log10(data_range_hu / error)


def ssim(image_hu: NDArray[np.floating[Any]], truth_hu: NDArray[np.floating[Any]], *, data_range_hu: float) -> float:
    """Mean structural similarity as in Wang et al. (2004): Gaussian window, sigma 1.5 pixels.

    Of the slices with air at 0, as papers have them that scale images to [0, 1]: ``(hu + 1000) / data_range_hu`` with
    constants for a range of 1 gives the same. Of HU as they are it would be another, lower number, for their brightness
    passes through zero. Computed by scikit-image, which leaves a border of 5 pixels out of the mean.

    Args:
        image_hu: the slice to judge, ``[y, x]`` in HU, at least 11 x 11.
        truth_hu: the true slice, same shape, in HU.
        data_range_hu: scales the two stabilising constants, in HU; see ``DATA_RANGE_HU``.

    Returns:
        SSIM, at most 1 (identical slices).

    Raises:
        GeometryError: the slices are not 2D, are smaller than the window or differ in shape.
        UsageError: the data range is not a positive number.
        CTResampleError: a value is not finite.
    """
    _check_data_range(data_range_hu)
    image, truth = _checked_pair(image_hu, truth_hu)
    if min(truth.shape) < SSIM_WINDOW:
        raise GeometryError(f"slices have shape {truth.shape}; SSIM needs at least {SSIM_WINDOW} pixels each way")
    # Here, because scikit-image takes a good part of a second to import.
    from skimage.metrics import structural_similarity

    above_air = truth - AIR_HU, image - AIR_HU
    return float(
        structural_similarity(
            *above_air, data_range=data_range_hu, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def rmse_hu(
    image_hu: NDArray[np.floating[Any]], truth_hu: NDArray[np.floating[Any]], mask: NDArray[np.bool_] | None = None
) -> float:
    """Root mean square error, unclipped.

    Args:
        image_hu: the slice to judge, ``[y, x]`` in HU.
        truth_hu: the true slice, same shape, in HU.
        mask: the pixels that count, same shape; None for all.

    Returns:
        RMSE in HU; NaN if the mask is empty.

    Raises:
        GeometryError: the slices or the mask are not 2D, are empty or differ in shape.
        CTResampleError: a value is not finite.
    """
    errors = _errors(image_hu, truth_hu, mask)
    return float(np.sqrt(np.mean(errors**2))) if errors.size else math.nan


def mae_hu(
    image_hu: NDArray[np.floating[Any]], truth_hu: NDArray[np.floating[Any]], mask: NDArray[np.bool_] | None = None
) -> float:
    """Mean absolute error, unclipped; arguments, result and errors as of `rmse_hu`."""
    errors = _errors(image_hu, truth_hu, mask)
    return float(np.mean(np.abs(errors))) if errors.size else math.nan


def _errors(
    image_hu: NDArray[np.floating[Any]], truth_hu: NDArray[np.floating[Any]], mask: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    image, truth = _checked_pair(image_hu, truth_hu)
    if mask is None:
        return image - truth
    mask = np.asarray(mask)
    if mask.dtype != bool:  # numbers would choose rows
        raise UsageError(f"the mask is of type {mask.dtype}; expected booleans")
    if mask.shape != truth.shape:
        raise GeometryError(f"the mask has shape {mask.shape} but the truth {truth.shape}; expected the same")
    return (image - truth)[mask]


def _check_data_range(data_range_hu: float) -> None:
    if not (math.isfinite(data_range_hu) and data_range_hu > 0):
        raise UsageError(f"data_range_hu is {data_range_hu}; expected a positive number of HU, such as {DATA_RANGE_HU}")


def _checked_pair(
    image_hu: NDArray[np.floating[Any]], truth_hu: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both slices in float64 (integers would wrap around in a difference), or the reason why not."""
    image, truth = as_array(image_hu, "image_hu", np.float64), as_array(truth_hu, "truth_hu", np.float64)
    if truth.ndim != 2 or 0 in truth.shape:
        raise GeometryError(f"the true slice has shape {truth.shape}; expected (rows, columns), none 0")
    if image.shape != truth.shape:
        raise GeometryError(f"the slice has shape {image.shape} but the truth {truth.shape}; resample one to the other")
    for name, values in (("slice", image), ("true slice", truth)):
        if bad := int(values.size - np.count_nonzero(np.isfinite(values))):
            raise CTResampleError(f"the {name} has {bad} of {values.size} values that are not finite numbers")
    return image, truth


def flicker(image_hu: NDArray[np.floating], truth_hu: NDArray[np.floating]) -> float:
    """How much neighbouring slices differ, over how much they should: above 1 they flicker, below 1 they are smeared.

    Args:
        image_hu: ``[slice, y, x]``, two slices or more.
        truth_hu: the same shape.

    Returns:
        Mean absolute difference of neighbours over that of the truth; NaN where the truth's slices are all equal.
    """
    found, true = (
        sum(float(np.abs(above.astype(np.float64) - below).mean()) for below, above in pairwise(one))
        for one in (image_hu, truth_hu)
    )
    return found / true if true > 0 else math.nan
