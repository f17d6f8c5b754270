"""How much each measured ray counts in filtered back projection, so that every line counts once.

A line that is measured twice, from both its ends, must share its weight between the two, and the share must change
smoothly across the detector and the views: the ramp filter turns jumps into streaks.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from ctresample.choices import VIEW_WEIGHTS, ViewWeights
from ctresample.errors import UsageError
from ctresample.geometry import Geometry
from ctresample.geometry.arcs import LEAST_GAP_RAD, circle, period_of
from ctresample.units import MU_WATER_PER_MM

if TYPE_CHECKING:  # plausibility of a file is judged without torch
    import torch

Array = NDArray[np.floating]

_PART_OF_A_STEP = 2
Scan = TypeVar("Scan", bound=Geometry)


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
    period = period_of(geometry)
    angles, arcs, gaps = circle(np.asarray(geometry.angles_rad), period)
    if view_weights == "equal":
        arcs = np.full_like(arcs, arcs.sum() / len(arcs))
    position, half_bin = _position(geometry)
    theta, x = angles[:, None], position[None, :]
    if period == math.pi:
        return np.repeat(arcs[:, None], len(position), axis=1)
    # the same line from its other end: a parallel view from behind, for a fan turned by twice the ray's angle
    turned = theta + math.pi + (0 if geometry.name == "parallel" else -2 * x)
    edges = position[0] - half_bin, position[-1] + half_bin
    here = _from_gaps(theta, gaps) * _from_edges(x, edges)
    there = _from_gaps(turned, gaps) * _from_edges(-x, edges)
    weights = arcs[:, None] * np.sin(np.pi / 2 * here / (here + there)) ** 2
    return _evened(weights, position, float(np.median(arcs))) if gaps else weights


def _evened(weights: Array, position: Array, step: float) -> Array:
    """Of a short scan whose views are uneven, or miss a few degrees, each distance from the axis counts for 2 pi.

    The lines at one distance are seen by a bin and the one as far on the other side. Where views are wide apart, the
    shares of a line that is seen from both ends do not add up to one; what is too much or too little is shared by all
    views, so that the mean stays. More than a few degrees is a limited angle: nothing is made up for it. Less than a
    part of a step is how even views are.
    """
    sums = weights.sum(axis=0)
    counted = sums + np.interp(-position, position, sums, left=0.0, right=0.0)
    if 2 * math.pi - counted.min() > LEAST_GAP_RAD or np.abs(2 * math.pi - counted).max() <= step / _PART_OF_A_STEP:
        return weights
    return weights * (2 * math.pi / counted)


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
    import torch
    import torch.nn.functional as F

    from ctresample.solvers.truncation import extended

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
