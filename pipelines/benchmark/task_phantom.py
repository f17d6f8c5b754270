"""The phantom of task measures, as in AAPM TG-233: water with rods of three contrasts."""

from __future__ import annotations

import math

import numpy as np

from ctresample.geometry import ImageGrid
from ctresample.pipelines.scan.lesion import Lesion
from ctresample.volume import Volume

FIELD_MM, WATER_MM = 256.0, 200.0
"""Side of the image, and diameter of the cylinder of water in its middle."""


RODS_HU, ROD_MM, ROD_FROM_AXIS_MM = (40.0, 300.0, 1000.0), 28.0, 55.0
"""Contrast of the rods, their diameter, and how far from the middle they stand."""

REPEATS = 8
"""Scans of the phantom that differ in their noise."""

DISC_MM = 8.0
"""Diameter of the disc that is to be detected."""


def rod_places_mm() -> list[tuple[float, float]]:
    """Where the rods stand, (x, y), in the order of their contrasts."""
    angles = [math.pi / 2 + 2 * math.pi * k / len(RODS_HU) for k in range(len(RODS_HU))]
    return [(ROD_FROM_AXIS_MM * math.cos(angle), ROD_FROM_AXIS_MM * math.sin(angle)) for angle in angles]


def rod_phantom(size: int, repeats: int) -> Volume:
    """The same slice so many times: each scan of it draws its own noise."""
    grid = ImageGrid((size, size), FIELD_MM / size)
    hu = -1000 + Lesion(WATER_MM, 1000.0, (0.0, 0.0)).on(grid, 1.0)
    for contrast_hu, at_mm in zip(RODS_HU, rod_places_mm(), strict=True):
        hu = hu + Lesion(ROD_MM, contrast_hu, at_mm).on(grid, 1.0)
    step = grid.pixel_size_mm
    return Volume(np.repeat(hu[None], repeats, axis=0), np.diag([step, step, 1.0, 1.0]))
