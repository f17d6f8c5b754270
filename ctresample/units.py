"""Hounsfield units, attenuation in 1/mm and the model's [-1, 1] range.

HU = 1000 (mu - mu_water) / mu_water, with air at mu = 0, so that HU = -1000 is vacuum and 0 is water.
Every function is plain arithmetic: it takes and returns floats, NumPy arrays or torch tensors alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ctresample.errors import UsageError

if TYPE_CHECKING:
    import torch

T = TypeVar("T", float, np.ndarray, "torch.Tensor")

MU_WATER_PER_MM = 0.0192
"""Attenuation of water at about 70 keV, the effective energy of a 120 kV beam (NIST XCOM: 0.193 1/cm)."""

AIR_HU = -1000.0

WINDOWS = {"soft tissue": (40.0, 400.0), "lung": (-600.0, 1500.0), "bone": (400.0, 1800.0), "brain": (40.0, 80.0)}
"""Display windows as (level, width) in HU."""

MATTERS_HU = 40.0
"""A contrast that matters in soft tissue, such as that of a lesion in the liver."""


def hu_to_mu(hu: T, mu_water_per_mm: float = MU_WATER_PER_MM) -> T:
    """Attenuation in 1/mm of a value in HU. Below -1000 HU the result is negative: clip first if that matters.

    Example:
        >>> hu_to_mu(0.0), hu_to_mu(-1000.0)
        (0.0192, 0.0)
    """
    return (hu - AIR_HU) * (mu_water_per_mm / 1000.0)


def mu_to_hu(mu: T, mu_water_per_mm: float = MU_WATER_PER_MM) -> T:
    """HU of an attenuation in 1/mm."""
    return mu * (1000.0 / mu_water_per_mm) + AIR_HU


def hu_to_model(hu: T, hu_range: tuple[float, float]) -> T:
    """Map ``hu_range`` linearly to [-1, 1], without clipping."""
    low, high = check_hu_range(hu_range)
    return (hu - low) * (2.0 / (high - low)) - 1.0


def model_to_hu(x: T, hu_range: tuple[float, float]) -> T:
    """Inverse of :func:`hu_to_model`."""
    low, high = check_hu_range(hu_range)
    return (x + 1.0) * ((high - low) / 2.0) + low


def check_hu_range(hu_range: tuple[float, float]) -> tuple[float, float]:
    """The range itself, if it is a range; `UsageError` otherwise."""
    low, high = hu_range
    if not low < high:
        raise UsageError(f"hu_range is {hu_range}; expected (low, high) with low < high")
    return low, high
