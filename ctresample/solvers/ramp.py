"""The ramp filter of filtered back projection and its windows.

Kak and Slaney, "Principles of Computerized Tomographic Imaging", 1988, section 3.3 and, for equal angles, eq. 3.97.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ctresample.choices import WINDOWS, Window
from ctresample.errors import UsageError


def ramp_filter(
    y: torch.Tensor, pitch: float, *, window: Window = "ramp", cutoff: float = 1.0, equal_angles: bool = False
) -> torch.Tensor:
    """Ramp filter along the last axis, made in space so that the mean comes out right.

    Args:
        y: any shape, bins last.
        pitch: from bin to bin, in mm; of an equiangular fan in rad.
        window: what the ramp is multiplied with: "ramp" nothing, the others damp high frequencies and noise, more so
            from left to right.
        cutoff: where the window ends, as a fraction of the detector's highest frequency; above it nothing passes.
        equal_angles: bins are equal angles of a fan, not equal lengths.
    """
    if window not in WINDOWS:
        raise UsageError(f"window is {window!r}; expected one of {', '.join(WINDOWS)}")
    if not 0 < cutoff <= 1:
        raise UsageError(f"cutoff is {cutoff}; expected more than 0 and at most 1, the highest frequency")
    n = y.shape[-1]
    size = 2 ** math.ceil(math.log2(2 * n))
    offsets = np.fft.fftfreq(size, 1 / size)
    kernel = np.zeros(size)
    kernel[0] = 1 / (4 * pitch**2)
    odd = (offsets % 2 == 1) & (np.abs(offsets) < n)
    distance = np.sin(offsets[odd] * pitch) if equal_angles else offsets[odd] * pitch
    kernel[odd] = -1 / (np.pi * distance) ** 2
    response = np.fft.rfft(kernel).real * pitch * _window(np.fft.rfftfreq(size) * 2 / cutoff, window)
    spectrum = torch.fft.rfft(y, size) * torch.as_tensor(response, dtype=y.dtype, device=y.device)
    return torch.fft.irfft(spectrum, size)[..., :n]


def _window(frequency: np.ndarray, window: str) -> np.ndarray:
    """Value of a window at frequencies in units of its end."""
    shapes = {
        "ramp": np.ones_like(frequency),
        "shepp-logan": np.sinc(frequency / 2),
        "cosine": np.cos(np.pi / 2 * frequency),
        "hamming": 0.54 + 0.46 * np.cos(np.pi * frequency),
        "hann": 0.5 + 0.5 * np.cos(np.pi * frequency),
    }
    return np.where(frequency <= 1 + 1e-12, shapes[window], 0.0)
