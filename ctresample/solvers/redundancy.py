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

from ctresample.geometry import ConeBeam, FanBeam, Geometry, ParallelBeam

Array = NDArray[np.floating]
Scan = TypeVar("Scan", ParallelBeam, FanBeam, ConeBeam, ParallelBeam | FanBeam)

_GAP_FACTOR = 3
"""Between two views nothing was measured when they are this many times further apart than both are from their other
neighbours. Views at multiples of the golden angle differ by 2.6."""

_PARTS = 2**32
"""Of the circle: views in the same one, 1.5e-9 radians, are one view measured again."""


def ray_weights(geometry: Geometry) -> Array:
    """Weight of each ray, ``[view, detector]``, in radians: the arc its view stands for times its share of its line.

    With ``d`` the distance from a ray to the nearest that was not measured, in view angle and along the detector
    multiplied, and ``d'`` that of the same line from its other end, the share is ``sin^2(pi/2 d / (d + d'))``. This
    is, of

    - a full circle: one half;
    - a short scan of 180 degrees and the fan angle, or more: Parker's weights ("Optimal short scan convolution
      reconstruction for fanbeam CT", Med. Phys. 9(2), 1982; over-scan: Silver, Med. Phys. 27(1), 2000);
    - a full circle with the detector off the centre: a smooth step over what both sides see (after Wang, "X-ray
      micro-CT with a displaced detector array", Med. Phys. 29(7), 2002);
    - a limited angle, or several arcs: one for lines seen once.
    """
    angles, arcs, gaps = _circle(np.asarray(geometry.angles_rad))
    position, half_bin = _position(geometry)
    theta, x = angles[:, None], position[None, :]
    # the same line from its other end: a parallel view from behind, for a fan turned by twice the ray's angle
    turned = theta + math.pi + (0 if geometry.name == "parallel" else -2 * x)
    edges = position[0] - half_bin, position[-1] + half_bin
    here = _from_gaps(theta, gaps) * _from_edges(x, edges)
    there = _from_gaps(turned, gaps) * _from_edges(-x, edges)
    return arcs[:, None] * np.sin(np.pi / 2 * here / (here + there)) ** 2


def weigh(y: torch.Tensor, geometry: Scan) -> tuple[torch.Tensor, Scan]:
    """Rays times their weights, on a detector that reaches equally far to both sides of the axis.

    A detector off the centre gets bins of zeros on its short side: filtered values spread there, and belong to pixels
    whose shadow falls beside the detector.
    """
    weights = torch.as_tensor(ray_weights(geometry), dtype=y.dtype, device=y.device)
    position, half_bin = _position(geometry)
    n_missing = int((abs(position[0] + position[-1]) + half_bin) // (2 * half_bin))
    short_side_first = position[0] + position[-1] > 0
    padding = (n_missing, 0) if short_side_first else (0, n_missing)
    shift_mm = n_missing / 2 * geometry.detector_pitch_mm
    wider = replace(
        geometry,
        n_detectors=geometry.n_detectors + n_missing,
        detector_offset_mm=geometry.detector_offset_mm + (-shift_mm if short_side_first else shift_mm),
    )
    return F.pad(y * weights, padding), wider


def _position(geometry: Geometry) -> tuple[Array, float]:
    """Where each bin's ray passes the axis: at mm of a parallel beam, at what angle of a fan; and half a bin."""
    if isinstance(geometry, ParallelBeam):
        return geometry.detector_mm, geometry.detector_pitch_mm / 2
    return geometry.axis_fan_angles_rad, geometry.detector_pitch_mm / geometry.source_to_detector_mm / 2


def _circle(angles_rad: Array) -> tuple[Array, Array, list[tuple[float, float]]]:
    """Views on the circle: the angles, the arc that each stands for, and where nothing was measured (from, to)."""
    # a view measured again may differ by rounding, also across the circle's seam: parts of the circle have none there
    parts = np.round(angles_rad / (2 * math.pi) * _PARTS) % _PARTS
    places, which, counts = np.unique(parts * (2 * math.pi / _PARTS), return_inverse=True, return_counts=True)
    after = np.diff(places, append=places[0] + 2 * math.pi)
    before = np.roll(after, 1)
    empty = (after > _GAP_FACTOR * before) & (after > _GAP_FACTOR * np.roll(after, -1))
    # across a gap a view stands for as much as on its other side
    right, left = np.where(empty, before, after) / 2, np.where(np.roll(empty, 1), after, before) / 2
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
