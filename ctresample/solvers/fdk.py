"""Filtered back projection of a circular cone beam.

Feldkamp, Davis and Kress, "Practical cone-beam algorithm", J. Opt. Soc. Am. A 1(6), 1984. Exact in the plane of the
source's circle; away from it intensity falls off, as no circle measures enough for more.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from ctresample.choices import ViewWeights, Window
from ctresample.errors import GeometryError
from ctresample.geometry import ConeBeam, Geometry, Grid
from ctresample.operators.given import as_tensor
from ctresample.solvers.ramp import ramp_filter
from ctresample.solvers.redundancy import weigh
from ctresample.units import MU_WATER_PER_MM


def fdk(
    y: torch.Tensor,
    geometry: Geometry,
    grid: Grid,
    *,
    window: Window = "ramp",
    cutoff: float = 1.0,
    view_weights: ViewWeights = "arcs",
    mu_water_per_mm: float = MU_WATER_PER_MM,
    extrapolate: bool = True,
) -> torch.Tensor:
    """Attenuation in 1/mm from line integrals.

    Args:
        y: line integrals ``(B, 1, detector rows, views, detectors)``.
        geometry: a cone beam; full circle or short scan (see `redundancy.ray_weights`).
        grid: the volume grid.
        window: of the ramp filter; see `ramp_filter`.
        cutoff: of the ramp filter, as a fraction of the detector's highest frequency.
        view_weights: "arcs": each view counts by the arc to its neighbours. "equal": all the same, for views in
            bursts, as of a gated scan, whose ends would carry most of the image and its noise.
        mu_water_per_mm: attenuation of water, of which an object that is wider than the detector goes on.
        extrapolate: whether it does; not for what is no object, such as a misfit.

    Returns:
        ``(B, 1, slices, rows, columns)``, same device and type as ``y``.
    """
    if not isinstance(geometry, ConeBeam) or not grid.is_volume:
        raise GeometryError("fdk reconstructs volumes; expected a cone beam and a volume grid; use fbp")
    geometry.check_outside(grid)
    y = as_tensor(y, "y")

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=y.dtype, device=y.device)

    y, wider = weigh(y, geometry, view_weights, mu_water_per_mm=mu_water_per_mm, extrapolate=extrapolate)
    distance, to_detector = wider.source_to_axis_mm, wider.source_to_detector_mm
    u, v = wider.detector_mm[None, :], wider.detector_rows_mm[:, None]
    obliquity = to_detector / np.sqrt(to_detector**2 + u**2 + v**2)
    obliquity = obliquity * (1 - wider.axis_offset_mm * u / (to_detector * distance))
    y = y * tensor(obliquity)[:, None, :]
    filtered = ramp_filter(y, wider.detector_pitch_mm / wider.magnification, window=window, cutoff=cutoff)
    z_mm, y_mm, x_mm = (tensor(axis) for axis in grid.axes_mm)
    half_u, half_v = (wider.n_detectors - 1) / 2, (wider.n_detector_rows - 1) / 2
    volume = y.new_zeros(len(y), 1, *grid.shape)
    for view, angle in enumerate(wider.angles_rad):
        cos, sin = math.cos(angle), math.sin(angle)
        depth = distance + y_mm[:, None] * cos - x_mm * sin
        across = (x_mm * cos + y_mm[:, None] * sin - wider.axis_offset_mm) / depth * to_detector
        above = z_mm[:, None, None] / depth * to_detector
        # in [-1, 1] from the first to the last bin, as grid_sample counts
        column = (across - wider.detector_offset_mm) / wider.detector_pitch_mm / max(half_u, 0.5)
        row = (above - wider.detector_row_offset_mm) / wider.detector_row_pitch_mm / max(half_v, 0.5)
        places = torch.stack([column.expand(grid.shape), row], dim=-1).flatten(0, 1)
        image = filtered[:, :, :, view]
        sampled = F.grid_sample(image, places.expand(len(y), -1, -1, -1), align_corners=True)
        volume += sampled.reshape(volume.shape) * (distance / depth) ** 2
    return volume
