"""Beyond the detector's edge: an object that is wider goes on as a cylinder of water.

Hsieh, Chao, Thibault, Grekowicz, Horst, McOlash and Myers, "A novel reconstruction algorithm to extend the CT scan
field-of-view", Med. Phys. 31(9), 2004. Without it the ramp filter takes the edge of the detector for that of the
object, and everything near it comes out hundreds of HU too high.
"""

from __future__ import annotations

import math

import torch

from ctresample.geometry import Geometry
from ctresample.sinogram import EDGE_AIR_SHARE

_OUTER = 0.75
"""Of the farthest edge's distance from the axis: a nearer edge is the inner one of a half detector, which the other
side of the scan goes on from."""


def extended(
    y: torch.Tensor, weights: torch.Tensor, geometry: Geometry, mu_per_mm: float
) -> tuple[torch.Tensor, int, int]:
    """Line integrals times their weights, with bins added where a view is cut off.

    Args:
        y: line integrals, views and detectors last.
        weights: ``[view, detector]``; beyond an edge those of the edge hold.
        geometry: the scan.
        mu_per_mm: attenuation of water.

    Returns:
        The weighted values, and how many bins were added before the first and after the last.
    """
    left, right = (_beyond(y, geometry, mu_per_mm, side) for side in (0, -1))
    parts = [y * weights]
    n_left = n_right = 0
    if left is not None:
        parts.insert(0, left.flip(-1) * weights[:, :1])
        n_left = left.shape[-1]
    if right is not None:
        parts.append(right * weights[:, -1:])
        n_right = right.shape[-1]
    return torch.cat(parts, dim=-1), n_left, n_right


def cut_off_share(y: torch.Tensor, geometry: Geometry, mu_per_mm: float) -> float:
    """Share of the views, over all slices, that an edge of the detector cuts off."""
    edges = _edges_mm(geometry)
    outer = [side for side in (0, -1) if abs(edges[side]) > _OUTER * max(map(abs, edges))]
    cuts = [_cylinder(y, geometry, mu_per_mm, side)[0] for side in outer]
    return float(torch.stack(cuts).any(0).float().mean())


def reach_mm(y: torch.Tensor, geometry: Geometry, mu_per_mm: float) -> float:
    """How far from the axis the object reaches, as far as cylinders of water tell: at least as far as the detector."""
    edges = _edges_mm(geometry)
    found = max(abs(edges[0]), abs(edges[1]))
    for side, edge in ((0, edges[0]), (-1, edges[1])):
        cut, d, radius2 = _cylinder(y, geometry, mu_per_mm, side)
        if abs(edge) > _OUTER * found and bool(cut.any()):
            beyond = (radius2.sqrt() - d)[cut].flatten()
            found = max(found, abs(edge) + float(beyond.float().quantile(0.95)))
    return found


def _beyond(y: torch.Tensor, geometry: Geometry, mu_per_mm: float, side: int) -> torch.Tensor | None:
    """Line integrals from an edge outwards; None where no view is cut off."""
    edges = _edges_mm(geometry)
    if abs(edges[side]) <= _OUTER * max(map(abs, edges)) or y.shape[-1] < 8:
        return None
    cut, d, radius2 = _cylinder(y, geometry, mu_per_mm, side)
    if not bool(cut.any()):
        return None
    n = y.shape[-1] // 2
    outward = torch.arange(1, n + 1, dtype=y.dtype, device=y.device)
    line = (
        2 * mu_per_mm * (radius2[..., None] - (d[..., None] + outward * _pitch_mm(geometry)) ** 2).clamp_min(0).sqrt()
    )
    fade = torch.cos(math.pi / 2 * (2 * outward / n - 1).clamp_min(0))  # an end of its own, should it reach so far
    return line * fade * cut[..., None]


def _cylinder(
    y: torch.Tensor, geometry: Geometry, mu_per_mm: float, side: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which views are cut off, how far inside the edge the cylinder's axis is, in mm, and its squared radius.

    The square of its line integrals is a parabola in the distance, ``4 mu^2 (r^2 - d^2)``: its slope at the edge tells
    ``d``, and its value then ``r``.
    """
    n = max(4, y.shape[-1] // 32)
    strip = y[..., :n].flip(-1) if side == 0 else y[..., -n:]
    inward = torch.arange(1 - n, 1, dtype=y.dtype, device=y.device) * _pitch_mm(geometry)
    square = strip.clamp_min(0) ** 2
    centred = inward - inward.mean()
    slope = (square * centred).sum(-1) / (centred**2).sum()
    level = square.mean(-1) - slope * inward.mean()
    width = y.shape[-1] * _pitch_mm(geometry)
    d = (-slope / (8 * mu_per_mm**2)).clamp(-width / 4, 4 * width)
    scale = y.abs().flatten(1).amax(1).view(-1, *[1] * (y.ndim - 2))
    cut = (strip.mean(-1) > EDGE_AIR_SHARE * scale) & (level > 0)
    return cut, d, level.clamp_min(0) / (4 * mu_per_mm**2) + d**2


def _pitch_mm(geometry: Geometry) -> float:
    """As seen at the axis."""
    return geometry.detector_pitch_mm / geometry.magnification


def _edges_mm(geometry: Geometry) -> tuple[float, float]:
    places = geometry.detector_mm / geometry.magnification
    offset = geometry.lengths_mm.get("axis_offset_mm", 0.0)
    return float(places[0] + offset), float(places[-1] + offset)
