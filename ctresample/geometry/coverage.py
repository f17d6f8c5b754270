"""What a helix sees: whether every line direction through a point of the object meets the detector in some turn."""

from __future__ import annotations

import math

import numpy as np

from ctresample.geometry.grid import Array
from ctresample.geometry.helical import HelicalBeam

_DIRECTIONS, _AZIMUTHS = 48, 8


def unseen_share(geometry: HelicalBeam, z_mm: Array, radius_mm: float) -> Array:
    """Share of the line directions, modulo 180 degrees, in which no ray passes points of a circle around the axis.

    Args:
        geometry: the scan, with enough views to interpolate between.
        z_mm: heights of the circles.
        radius_mm: of the circles.

    Returns:
        For each height the largest share on its circle; 0 where a weighted back projection has all it needs.
    """
    angles = np.unwrap(geometry.angles_rad)
    order = np.argsort(angles)
    angles, heights = angles[order], np.array(geometry.centre_z_mm)[order]
    psi = np.arange(_DIRECTIONS) * math.pi / _DIRECTIONS
    azimuth = np.arange(_AZIMUTHS)[:, None] * 2 * math.pi / _AZIMUTHS
    x, y = radius_mm * np.cos(azimuth), radius_mm * np.sin(azimuth)
    reach_mm = geometry.n_detector_rows * geometry.detector_row_pitch_mm / 2
    found = np.zeros((len(z_mm), _AZIMUTHS, _DIRECTIONS), bool)
    turns = range(math.floor(angles[0] / math.pi) - 1, math.ceil(angles[-1] / math.pi) + 1)
    for direction in (psi + k * math.pi for k in turns):
        t = x * np.cos(direction) + y * np.sin(direction)
        gamma = np.arcsin(np.clip(t / geometry.source_to_axis_mm, -1, 1))
        view = direction + gamma
        far = y * np.cos(direction) - x * np.sin(direction) + geometry.source_to_axis_mm * np.cos(gamma)
        rise = (np.asarray(z_mm)[:, None, None] - np.interp(view, angles, heights)) / far
        row_mm = rise * geometry.source_to_detector_mm - geometry.detector_row_offset_mm
        found |= (np.abs(row_mm) <= reach_mm) & (view >= angles[0] - 1e-9) & (view <= angles[-1] + 1e-9)
    return (1 - found.mean(axis=2)).max(axis=1)


def seen_range_mm(geometry: HelicalBeam, radius_mm: float) -> tuple[float, float] | None:
    """The longest run of heights at which nothing is missing within a radius; None where there is no such height."""
    low, high = min(geometry.centre_z_mm), max(geometry.centre_z_mm)
    z_mm = np.linspace(low, high, 129)
    whole = (unseen_share(geometry, z_mm, radius_mm) == 0) & (unseen_share(geometry, z_mm, 0.0) == 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], whole, [False]])))
    if not len(edges):
        return None
    runs = edges.reshape(-1, 2)
    start, end = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    return float(z_mm[start]), float(z_mm[end - 1])
