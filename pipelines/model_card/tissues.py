"""Errors of an image by tissue: the pixels are sorted by their true value in HU."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Region:
    """Pixels whose true value is at least ``low_hu`` and below ``high_hu``."""

    name: str
    low_hu: float
    high_hu: float


TISSUES = (
    Region("air", -math.inf, -950),
    Region("lung", -950, -500),
    Region("fat", -190, -30),
    Region("soft tissue", -29, 150),
    Region("bone", 200, 1500),
)
"""Fat and soft tissue: the windows of body composition by CT for adipose tissue and muscle (Mitsiopoulos et al.,
J. Appl. Physiol. 85, 1998, 115). Lung: between air and the -500 HU that lung masks are cut at. What lies between the
windows is mostly edges, and counts in the ranges below alone."""

RANGES = (Region("-1000 to 1500 HU", -1000, 1500), Region("all pixels", -math.inf, math.inf))

REGIONS = TISSUES + RANGES


@dataclass(frozen=True)
class RegionError:
    """How far images are from the truth in one region.

    Attributes:
        region: see `Region`.
        share: of all pixels that are in it.
        rmse_hu: root mean square error over all its pixels; NaN if there are none.
        bias_hu: mean error.
        patient_sd_hu: standard deviation of the patients' RMSE; NaN for fewer than two that have such pixels.
    """

    region: Region
    share: float
    rmse_hu: float
    bias_hu: float
    patient_sd_hu: float


def error_sums(truth: torch.Tensor, image: torch.Tensor) -> NDArray[np.float64]:
    """What `region_errors` needs of a batch ``(B, 1, H, W)`` in HU: ``[B, region, 3]``, regions as in `REGIONS`.

    The last axis is the number of pixels, the sum of their errors and the sum of their squared errors.
    """
    error = (image - truth).double()
    powers = torch.stack([torch.ones_like(error), error, error.square()], -1)
    inside = torch.stack([(truth >= r.low_hu) & (truth < r.high_hu) for r in REGIONS], 1).double()
    return torch.einsum("brchw,bchwk->brk", inside, powers).cpu().numpy()


def region_errors(sums: NDArray[np.float64], patients: NDArray[np.int64]) -> tuple[RegionError, ...]:
    """The error in each of `REGIONS`, over all pixels of all slices, and its spread over patients.

    Args:
        sums: from `error_sums`, one row a slice.
        patients: a number a slice, the same for slices of one patient.
    """
    by_patient = np.stack([sums[patients == p].sum(0) for p in np.unique(patients)])
    n_all = float(sums[:, -1, 0].sum())  # the last region has every pixel
    found = []
    for k, (region, (count, error, square)) in enumerate(zip(REGIONS, sums.sum(0).tolist(), strict=True)):
        if count == 0:
            found.append(RegionError(region, 0.0, math.nan, math.nan, math.nan))
            continue
        own = by_patient[by_patient[:, k, 0] > 0, k]
        spread = float(np.sqrt(own[:, 2] / own[:, 0]).std(ddof=1)) if len(own) > 1 else math.nan
        found.append(RegionError(region, count / n_all, math.sqrt(square / count), error / count, spread))
    return tuple(found)
