"""Filtered back projection of slices: parallel beams, and fans on flat or curved detectors.

Kak and Slaney, "Principles of Computerized Tomographic Imaging", 1988, sections 3.3 and 3.4. A central ray that
misses the axis: Gullberg, Crawford and Tsui, "Reconstruction algorithm for fan beam with a displaced
center-of-rotation", IEEE TMI 5(1), 1986.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ctresample.choices import ViewWeights, Window
from ctresample.errors import GeometryError
from ctresample.geometry import FanBeam, Geometry, Grid, ParallelBeam
from ctresample.operators.given import as_tensor
from ctresample.solvers.ramp import ramp_filter
from ctresample.solvers.redundancy import weigh
from ctresample.units import MU_WATER_PER_MM


def fbp(
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

    Example:
        >>> from ctresample import ImageGrid, ParallelBeam, make_projector
        >>> grid = ImageGrid((32, 32), pixel_size_mm=10.0)
        >>> A = make_projector(ParallelBeam.for_grid(grid, n_views=20), grid)
        >>> x = torch.zeros(1, 1, 32, 32)
        >>> x[..., 8:24, 8:24] = 0.02
        >>> round(float(fbp(A(x), A.geometry, grid)[0, 0, 16, 16]), 2)
        0.02

    Any views will do: full circles, short scans, arcs with gaps; see `redundancy.ray_weights`. For lines that were
    never measured nothing is made up.

    Args:
        y: line integrals ``(B, 1, views, detectors)``.
        geometry: the scan, in the plane of a slice; `fdk` is for cone beams.
        grid: the image grid.
        window: of the ramp filter; see `ramp_filter`.
        cutoff: of the ramp filter, as a fraction of the detector's highest frequency.
        view_weights: "arcs": each view counts by the arc to its neighbours. "equal": all the same, for views in
            bursts, as of a gated scan, whose ends would carry most of the image and its noise.
        mu_water_per_mm: attenuation of water, of which an object that is wider than the detector goes on.
        extrapolate: whether it does; not for what is no object, such as a misfit.

    Returns:
        ``(B, 1, rows, columns)``, same device and type as ``y``.
    """
    if not isinstance(geometry, ParallelBeam | FanBeam) or grid.is_volume:
        raise GeometryError("fbp reconstructs slices; expected a parallel or fan beam and an image grid; use fdk")
    geometry.check_outside(grid)
    pitch = geometry.detector_pitch_mm
    if isinstance(geometry, FanBeam):  # as seen at the axis, or as an angle
        pitch /= geometry.source_to_detector_mm if geometry.is_curved else geometry.magnification
    y = as_tensor(y, "y")
    y, wider = weigh(y, geometry, view_weights, mu_water_per_mm=mu_water_per_mm, extrapolate=extrapolate)
    y = y * torch.as_tensor(_obliquity(wider), dtype=y.dtype, device=y.device)
    filtered = ramp_filter(y, pitch, window=window, cutoff=cutoff, equal_angles=wider.is_curved)
    rows_mm, columns_mm = grid.axes_mm
    x_mm = torch.as_tensor(columns_mm, dtype=y.dtype, device=y.device)[None, :]
    y_mm = torch.as_tensor(rows_mm, dtype=y.dtype, device=y.device)[:, None]
    image = y.new_zeros(len(y), math.prod(grid.shape))
    for view, angle in enumerate(wider.angles_rad):
        cos, sin = math.cos(angle), math.sin(angle)
        place_mm, share = _shadow(wider, x_mm * cos + y_mm * sin, y_mm * cos - x_mm * sin)
        position = (place_mm - wider.detector_offset_mm) / wider.detector_pitch_mm
        image += share.flatten() * _between_bins(filtered[:, 0, view], position.flatten())
    return image.reshape(-1, 1, *grid.shape)


def _obliquity(geometry: ParallelBeam | FanBeam) -> np.ndarray | float:
    """What each bin's value is multiplied with before filtering: how dense the fan's rays lie."""
    if isinstance(geometry, ParallelBeam):
        return 1.0
    gamma, distance, offset = geometry.fan_angles_rad, geometry.source_to_axis_mm, geometry.axis_offset_mm
    if geometry.is_curved:
        return distance * np.cos(gamma) - offset * np.sin(gamma)
    return np.cos(gamma) * (1 - offset * np.tan(gamma) / distance)


def _shadow(
    geometry: ParallelBeam | FanBeam, across: torch.Tensor, along: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where a pixel's shadow falls on the detector, in mm, and what its value is multiplied with.

    Args:
        geometry: the scan.
        across: the pixel's place along the detector, in mm from the axis.
        along: its place along the central ray, in mm from the axis, away from the source.
    """
    if isinstance(geometry, ParallelBeam):
        return across, torch.ones_like(across)
    depth, lateral = geometry.source_to_axis_mm + along, across - geometry.axis_offset_mm
    if geometry.is_curved:
        return torch.atan2(lateral, depth) * geometry.source_to_detector_mm, 1 / (depth**2 + lateral**2)
    return lateral / depth * geometry.source_to_detector_mm, (geometry.source_to_axis_mm / depth) ** 2


def _between_bins(row: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """Values ``(B, n)`` at positions ``(n,)`` counted in bins from the middle of ``(B, detectors)``; 0 outside."""
    n = row.shape[-1]
    position = position + (n - 1) / 2
    first = position.floor().long().clamp(0, max(n - 2, 0))
    fraction = (position - first).clamp(0, 1)
    seen = (position >= 0) & (position <= n - 1)
    return torch.lerp(row[:, first], row[:, (first + 1).clamp(max=n - 1)], fraction) * seen
