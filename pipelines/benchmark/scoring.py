"""The figures of one image against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.metrics import DATA_RANGE_HU, mae_hu, psnr_db, region_masks, rmse_hu, ssim, structure_errors


def image_figures(
    image_hu: NDArray[np.floating[Any]], truth_hu: NDArray[np.floating[Any]], pixel_size_mm: float
) -> dict[str, float]:
    """The columns of a results table that follow from an image alone, by name.

    Args:
        image_hu: ``[y, x]`` in HU.
        truth_hu: the same shape.
        pixel_size_mm: of both.

    Raises:
        CTResampleError: a value is not finite.
    """
    figures = {
        "psnr_db": psnr_db(image_hu, truth_hu, data_range_hu=DATA_RANGE_HU),
        "data_range_hu": DATA_RANGE_HU,
        "ssim": ssim(image_hu, truth_hu, data_range_hu=DATA_RANGE_HU),
        "rmse_hu": rmse_hu(image_hu, truth_hu),
        "mae_hu": mae_hu(image_hu, truth_hu),
    }
    for region, mask in region_masks(truth_hu).items():
        figures[f"{region}_rmse_hu"] = rmse_hu(image_hu, truth_hu, mask)
        figures[f"{region}_mae_hu"] = mae_hu(image_hu, truth_hu, mask)
    return figures | structure_errors(image_hu, truth_hu, pixel_size_mm).figures


def origin_figures(measured_hu: NDArray[np.floating[Any]], invented_hu: NDArray[np.floating[Any]]) -> dict[str, float]:
    """The columns that follow from the two parts of an error, of `reconstruction.maps.error_parts`."""
    parts = {"measured_rmse_hu": measured_hu, "invented_rmse_hu": invented_hu}
    return {name: rmse_hu(part, np.zeros_like(part)) for name, part in parts.items()}
