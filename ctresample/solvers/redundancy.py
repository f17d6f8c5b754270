"""How much each measured ray counts in filtered back projection, so that every line counts once.

A line that is measured twice, from both its ends, must share its weight between the two, and the share must change
smoothly across the detector and the views: the ramp filter turns jumps into streaks.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ctresample.choices import VIEW_WEIGHTS, ViewWeights
from ctresample.errors import UsageError
from ctresample.geometry import ConeBeam, FanBeam, Geometry, ParallelBeam
from ctresample.solvers.truncation import extended
from ctresample.units import MU_WATER_PER_MM

Array = NDArray[np.floating]
Scan = TypeVar("Scan", ParallelBeam, FanBeam, ConeBeam, ParallelBeam | FanBeam)

_MANY_STEPS, _WIDE_STEPS, _LEAST_GAP_RAD = 10, 5, math.radians(20)
"""Between two views nothing was measured where they are further apart than 10 median steps, 5 steps of the 90th
percentile, and 20 degrees. Of angles drawn at random no step in a thousand scans is; a burst of dropped views is not
either, and its arc goes to its neighbours."""

_FEW_STEPS, _GREAT_PART = 3, 3
"""Nor where they are 3 median steps and the third part of the circle apart: so short scans of few views have an end."""

_PARTS = 2**32
"""Of the circle: views in the same one, 1.5e-9 radians, are one view measured again."""


def ray_weights(geometry: Geometry, view_weights: ViewWeights = "arcs") -> Array:
    """Weight of each ray, ``[view, detector]``, in radians: the arc its view stands for times its share of its line.

    A view stands for half the way to its neighbours on both sides, so that uneven, random and dropped views keep HU.
    Parallel views from opposite sides are neighbours, where the detector is centred on the axis or the scan is of no
    more than 180 degrees; then the share is one. Else, with ``d`` the distance from a ray to the nearest that was not
    measured, in view angle and along the detector multiplied, and ``d'`` that of the same line from its other end, it
    is ``sin^2(pi/2 d / (d + d'))``. This is, of

    - a full circle: one half;
    - a short scan of 180 degrees and the fan angle, or more: Parker's weights ("Optimal short scan convolution
      reconstruction for fanbeam CT", Med. Phys. 9(2), 1982; over-scan: Silver, Med. Phys. 27(1), 2000);
    - a full circle with the detector off the centre: a smooth step over what both sides see (after Wang, "X-ray
      micro-CT with a displaced detector array", Med. Phys. 29(7), 2002);
    - a limited angle, or several arcs: one for lines seen once.
    """
    if view_weights not in VIEW_WEIGHTS:
        raise UsageError(f"view_weights is {view_weights!r}; expected one of {', '.join(VIEW_WEIGHTS)}")
    angles, arcs, gaps = _circle(np.asarray(geometry.angles_rad), _period(geometry))
    if view_weights == "equal":
        arcs = np.full_like(arcs, arcs.sum() / len(arcs))
    position, half_bin = _position(geometry)
    theta, x = angles[:, None], position[None, :]
    if _period(geometry) == math.pi:
        return np.repeat(arcs[:, None], len(position), axis=1)
    # the same line from its other end: a parallel view from behind, for a fan turned by twice the ray's angle
    turned = theta + math.pi + (0 if geometry.name == "parallel" else -2 * x)
    edges = position[0] - half_bin, position[-1] + half_bin
    here = _from_gaps(theta, gaps) * _from_edges(x, edges)
    there = _from_gaps(turned, gaps) * _from_edges(-x, edges)
    return _with_holes_spread(
        arcs[:, None] * np.sin(np.pi / 2 * here / (here + there)) ** 2, position, float(np.median(arcs))
    )


def _with_holes_spread(weights: Array, position: Array, step: float) -> Array:
    """Where a few degrees are missing of a short scan, all views share their weight, so that the mean stays.

    The lines at one distance from the axis, seen by a bin and the one as far on the other side, count for 2 pi. More
    than a few degrees is a limited angle: nothing is made up for it. Less than a step is no hole.
    """
    sums = weights.sum(axis=0)
    total = sums + np.interp(-position, position, sums, left=0.0, right=0.0)
    if not step < 2 * math.pi - total.min() <= _LEAST_GAP_RAD:
        return weights
    return weights * np.maximum(2 * math.pi / total, 1)


def unmeasured_rad(geometry: Geometry) -> list[tuple[float, float]]:
    """Arcs of view angle, (from, to), in which nothing was measured: between the arcs of a scan, or after its end.

    Of parallel beams in [0, pi), as far as the other end of its rays was not measured either; of fans in [0, 2 pi),
    where a short scan has one.
    """
    return _circle(np.asarray(geometry.angles_rad), _period(geometry))[2]


def widest_step(geometry: Geometry) -> tuple[float, float]:
    """The widest step between views that is no gap, in radians, and the median step."""
    angles, period = np.asarray(geometry.angles_rad), _period(geometry)
    places = np.unique(_parts(angles, period)) * (period / _PARTS)
    steps = np.diff(places, append=places[0] + period)
    measured = steps[~_is_gap(steps, period)]
    return float(measured.max(initial=0)), float(np.median(steps))


def weigh(
    y: torch.Tensor,
    geometry: Scan,
    view_weights: ViewWeights = "arcs",
    *,
    mu_water_per_mm: float = MU_WATER_PER_MM,
    extrapolate: bool = True,
) -> tuple[torch.Tensor, Scan]:
    """Rays times their weights, on a detector that reaches equally far to both sides of the axis.

    A detector off the centre gets bins of zeros on its short side: filtered values spread there, and belong to pixels
    whose shadow falls beside the detector. With ``extrapolate`` it gets bins of a cylinder of water where a view is cut
    off (see `ctresample.solvers.truncation`).
    """
    weights = torch.as_tensor(ray_weights(geometry, view_weights), dtype=y.dtype, device=y.device)
    position, half_bin = _position(geometry)
    n_missing = int((abs(position[0] + position[-1]) + half_bin) // (2 * half_bin))
    short_side_first = position[0] + position[-1] > 0
    padding = (n_missing, 0) if short_side_first else (0, n_missing)
    shift_mm = n_missing / 2 * geometry.detector_pitch_mm
    n_left = n_right = 0
    weighted = y * weights
    if extrapolate:
        weighted, n_left, n_right = extended(y, weights, geometry, mu_water_per_mm)
    wider = replace(
        geometry,
        n_detectors=geometry.n_detectors + n_missing + n_left + n_right,
        detector_offset_mm=geometry.detector_offset_mm
        + (-shift_mm if short_side_first else shift_mm)
        + (n_right - n_left) / 2 * geometry.detector_pitch_mm,
    )
    return F.pad(weighted, padding), wider


def _position(geometry: Geometry) -> tuple[Array, float]:
    """Where each bin's ray passes the axis: at mm of a parallel beam, at what angle of a fan; and half a bin."""
    places, step = geometry.line_coordinates
    return places, step / 2


def _period(geometry: Geometry) -> float:
    """After what angle views count as measured again: pi where a parallel view from behind measures the same lines."""
    if geometry.name != "parallel":
        return 2 * math.pi
    position, half_bin = _position(geometry)
    if abs(position[0] + position[-1]) <= 2 * half_bin + 1e-9:  # no further off the axis than half a bin
        return math.pi
    places = np.unique(_parts(np.asarray(geometry.angles_rad), 2 * math.pi)) * (2 * math.pi / _PARTS)
    steps = np.diff(places, append=places[0] + 2 * math.pi)
    return math.pi if steps.max() >= math.pi - 2 * np.median(steps) else 2 * math.pi


def _parts(angles_rad: Array, period: float) -> Array:
    """Which part of the circle each view is in: one measured again may differ by rounding, also across the seam."""
    return np.round(angles_rad / period * _PARTS) % _PARTS


def _is_gap(steps: Array, period: float) -> NDArray[np.bool_]:
    median = float(np.median(steps))
    far = max(_MANY_STEPS * median, _WIDE_STEPS * float(np.quantile(steps, 0.9, method="lower")), _LEAST_GAP_RAD)
    return (steps > far) | ((steps > _FEW_STEPS * median) & (steps > period / _GREAT_PART))


def _circle(angles_rad: Array, period: float) -> tuple[Array, Array, list[tuple[float, float]]]:
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


def _from_gaps(angle: Array, gaps: list[tuple[float, float]]) -> Array:
    """Distance to the nearest gap on the circle, 0 inside one; 1 everywhere where there is none."""
    if not gaps:
        return np.ones_like(angle)
    distances = []
    for start, end in gaps:
        past = np.mod(angle - end, 2 * math.pi)  # round from the end of the gap to its start
        distances.append(np.minimum(past, 2 * math.pi - (end - start) - past).clip(0))
    return np.min(distances, axis=0)


def _from_edges(position: Array, edges: tuple[float, float]) -> Array:
    """Distances to both edges of the detector, multiplied; 0 outside.

    Not the distance to the nearer: that has a kink in the middle, at the same bin of all views, and makes a ring.
    """
    return (position - edges[0]).clip(0) * (edges[1] - position).clip(0)
