"""Filtered back projection for parallel and flat fan beams.

Kak and Slaney, "Principles of Computerized Tomographic Imaging", 1988, sections 3.3 and 3.4.2.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch

from ctresample.errors import UsageError
from ctresample.geometry import FanBeam, Geometry, ImageGrid

Window = Literal["ramp", "hann"]


def fbp(y: torch.Tensor, geometry: Geometry, grid: ImageGrid, *, window: Window = "ramp") -> torch.Tensor:
    """Attenuation in 1/mm from line integrals.

    A fan beam is taken to cover the full circle; each view counts for the arc it stands for.

    Args:
        y: line integrals ``(B, 1, views, detectors)``.
        geometry: the scan.
        grid: the image grid.
        window: "ramp" for full resolution, "hann" to damp high frequencies and noise.

    Returns:
        ``(B, 1, rows, columns)``, same device and type as ``y``.
    """
    fan = isinstance(geometry, FanBeam)
    distance = geometry.source_to_axis_mm if isinstance(geometry, FanBeam) else math.inf
    magnification = geometry.magnification if isinstance(geometry, FanBeam) else 1.0
    pitch = geometry.detector_pitch_mm / magnification  # scaled to the rotation axis
    s = torch.as_tensor(geometry.detector_mm / magnification, dtype=y.dtype, device=y.device)
    obliquity = 1 / torch.sqrt(1 + (s / distance) ** 2)
    filtered = _ramp(y * obliquity, pitch, window)

    x_mm = torch.as_tensor(grid.x_mm, dtype=y.dtype, device=y.device)[None, :]
    y_mm = torch.as_tensor(grid.y_mm, dtype=y.dtype, device=y.device)[:, None]
    image = y.new_zeros(len(y), grid.shape[0] * grid.shape[1])
    arcs = _arc_of_each_view(geometry.angles_rad, 2 * math.pi if fan else math.pi) * (0.5 if fan else 1.0)
    for view, (angle, arc) in enumerate(zip(geometry.angles_rad, arcs, strict=True)):
        cos, sin = math.cos(angle), math.sin(angle)
        depth = 1 - (x_mm * sin - y_mm * cos) / distance  # 1 at the axis, 0 at the source
        position = ((x_mm * cos + y_mm * sin) / depth / pitch + (geometry.n_detectors - 1) / 2).flatten()
        first = position.floor().long().clamp(0, geometry.n_detectors - 2)
        fraction = (position - first).clamp(0, 1)
        seen = (position >= 0) & (position <= geometry.n_detectors - 1)
        row = filtered[:, 0, view]
        value = row[:, first] * (1 - fraction) + row[:, first + 1] * fraction
        image += arc * value * (seen / (depth**2).expand(grid.shape).flatten())
    return image.reshape(-1, 1, *grid.shape)


def _ramp(y: torch.Tensor, pitch_mm: float, window: Window) -> torch.Tensor:
    """Ramp filter along the last axis, made in space so that the mean comes out right (Kak and Slaney, eq. 61)."""
    n = y.shape[-1]
    size = 2 ** math.ceil(math.log2(2 * n))
    offsets = np.fft.fftfreq(size, 1 / size)
    kernel = np.zeros(size)
    kernel[0] = 1 / (4 * pitch_mm**2)
    odd = offsets % 2 == 1
    kernel[odd] = -1 / (np.pi * offsets[odd] * pitch_mm) ** 2
    response = np.fft.rfft(kernel).real * pitch_mm
    if window == "hann":
        response *= 0.5 + 0.5 * np.cos(2 * np.pi * np.fft.rfftfreq(size))
    elif window != "ramp":
        raise UsageError(f"window is {window!r}; expected 'ramp' or 'hann'")
    spectrum = torch.fft.rfft(y, size) * torch.as_tensor(response, dtype=y.dtype, device=y.device)
    return torch.fft.irfft(spectrum, size)[..., :n]


def _arc_of_each_view(angles_rad: tuple[float, ...], period_rad: float) -> np.ndarray:
    """Half the gaps to both neighbours on the circle of ``period_rad``; gaps where nothing was measured count little.

    A view measured twice shares its arc; a gap of more than twice the median (limited angle) is cut to that.
    """
    angles = np.mod(np.asarray(angles_rad), period_rad)
    order = np.argsort(angles, kind="stable")
    gaps = np.diff(angles[order], append=angles[order[0]] + period_rad)
    repeated = gaps < 1e-9 * period_rad
    gaps = np.minimum(gaps, 2 * np.median(gaps[~repeated]))
    arcs = np.empty_like(angles)
    arcs[order] = (gaps + np.roll(gaps, 1)) / 2
    return arcs
