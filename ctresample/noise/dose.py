"""Where and when the photons are sent: a bow-tie filter across the fan, tube current that follows the patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.geometry import Geometry
from ctresample.units import MU_WATER_PER_MM


def bow_tie(geometry: Geometry, diameter_mm: float, mu_per_mm: float = MU_WATER_PER_MM) -> NDArray[np.float64]:
    """Share of photons that an ideal bow-tie filter lets through to each detector column.

    The filter makes up for the shorter paths beside the centre of a cylinder around the rotation axis:
    ``exp(-mu (D - L))``, where L is the ray's path through the cylinder and D its diameter. Behind that cylinder all
    bins then count alike. It is 1 on the ray through the axis and ``exp(-mu D)`` outside the cylinder; that of a
    cone beam is the same in every row.

    Args:
        geometry: the scan.
        diameter_mm: of the cylinder.
        mu_per_mm: its attenuation, by default that of water.

    Returns:
        ``(detectors,)``, in (0, 1].
    """
    path = 2 * np.sqrt(np.maximum((diameter_mm / 2) ** 2 - geometry.from_axis_mm**2, 0))
    return np.exp(-mu_per_mm * (diameter_mm - path))


def tube_current(attenuation: NDArray[np.floating], strength: float) -> NDArray[np.float64]:
    """Tube current of each view, relative to the mean.

    It follows the intensity that the patient lets through to the power ``-strength``: 0 is a constant current, 1
    gives every view the same count, and 0.5, the square root, has the least noise in the image for a given dose
    (Gies et al., Med Phys 26(11), 1999; Kalender et al., Med Phys 26(11), 1999).

    Args:
        attenuation: largest line integral of each view, ``(views,)``.
        strength: from 0 to 1.

    Returns:
        ``(views,)``, of mean 1: the dose stays that of a constant current.
    """
    current = np.exp(strength * (attenuation.astype(np.float64) - attenuation.max()))  # so that no power overflows
    return current / current.mean()
