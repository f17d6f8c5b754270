"""The arcs of a scan: what each view stands for, and where nothing was measured."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ctresample.geometry.beam import Beam

Array = NDArray[np.floating]

_MANY_STEPS, _WIDE_STEPS, LEAST_GAP_RAD = 10, 5, math.radians(20)
"""Between two views nothing was measured where they are further apart than 10 median steps, 5 steps of the 90th
percentile, and 20 degrees (of a fan, which measures lines from both ends, 10). Of angles drawn at random hardly any
step is; a burst of dropped views is not either, and its arc goes to its neighbours."""

_FEW_STEPS, _GREAT_PART = 3, 3
"""Nor where they are 3 median steps and the third part of the circle apart: so short scans of few views have an end."""

_PARTS = 2**32
"""Of the circle: views in the same one, 1.5e-9 radians, are one view measured again."""


MOST_MISSING_RAD = math.radians(30)
"""Of the arc that an image needs: with more, the angle is limited."""


def unmeasured_rad(geometry: Beam) -> list[tuple[float, float]]:
    """Arcs of view angle, (from, to), in which nothing was measured: between the arcs of a scan, or after its end.

    Of parallel beams in [0, pi), as far as the other end of its rays was not measured either; of fans in [0, 2 pi),
    where a short scan has one.
    """
    return circle(np.asarray(geometry.angles_rad), period_of(geometry))[2]


def missing_rad(geometry: Beam) -> float:
    """How much of the arc that an image needs was not measured; below 0 where more was."""
    return sum(end - start for start, end in unmeasured_rad(geometry)) - (geometry.turn_rad - geometry.short_scan_rad)


def is_limited(geometry: Beam) -> bool:
    """Whether so much of the arc is missing that it explains what else is odd of an image; no helix is."""
    return geometry.name != "helical" and missing_rad(geometry) > MOST_MISSING_RAD


def widest_step(geometry: Beam) -> tuple[float, float]:
    """The widest step between views that is no gap, in radians, and the median step."""
    angles, period = np.asarray(geometry.angles_rad), period_of(geometry)
    places = np.unique(_parts(angles, period)) * (period / _PARTS)
    steps = np.diff(places, append=places[0] + period)
    measured = steps[~_is_gap(steps, period)]
    return float(measured.max(initial=0)), float(np.median(steps))


def period_of(geometry: Beam) -> float:
    """After what angle views count as measured again: pi where a parallel view from behind measures the same lines."""
    if geometry.name != "parallel":
        return 2 * math.pi
    position, step = geometry.line_coordinates
    if abs(position[0] + position[-1]) <= step + 1e-9:  # no further off the axis than half a bin
        return math.pi
    places = np.unique(_parts(np.asarray(geometry.angles_rad), 2 * math.pi)) * (2 * math.pi / _PARTS)
    steps = np.diff(places, append=places[0] + 2 * math.pi)
    return math.pi if steps.max() >= math.pi - 2 * np.median(steps) else 2 * math.pi


def _parts(angles_rad: Array, period: float) -> Array:
    """Which part of the circle each view is in: one measured again may differ by rounding, also across the seam."""
    return np.round(angles_rad / period * _PARTS) % _PARTS


def _is_gap(steps: Array, period: float) -> NDArray[np.bool_]:
    median, most = float(np.median(steps)), float(np.quantile(steps, 0.9, method="lower"))
    far = max(_MANY_STEPS * median, _WIDE_STEPS * most, LEAST_GAP_RAD * math.pi / period)
    return (steps > far) | ((steps > _FEW_STEPS * median) & (steps > period / _GREAT_PART))


def circle(angles_rad: Array, period: float) -> tuple[Array, Array, list[tuple[float, float]]]:
    """Views on the circle: the angles, the arc that each stands for, and where nothing was measured (from, to)."""
    places, which, counts = np.unique(_parts(angles_rad, period), return_inverse=True, return_counts=True)
    places = places * (period / _PARTS)
    after = np.diff(places, append=places[0] + period)
    before = np.roll(after, 1)
    empty = _is_gap(after, period)
    # across a gap a view stands for as much as on its other side, unless that is one as well
    right, left = np.where(empty, before, after) / 2, np.where(np.roll(empty, 1), after, before) / 2
    lonely = empty & np.roll(empty, 1)
    right, left = (np.where(lonely, np.median(after) / 2, side) for side in (right, left))
    gaps = [(places[k] + right[k], places[k] + after[k] - left[(k + 1) % len(places)]) for k in np.flatnonzero(empty)]
    return places[which], ((right + left) / counts)[which], gaps
