"""Is there a pattern that repeats with the autoencoder's patches? Read off the spectrum of its error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.errors import UsageError

_PEAK, _RING = 1, 5
"""Half width in frequency steps of a peak, and of the square around it that tells the error without it."""


@dataclass(frozen=True)
class Checkerboard:
    """A repeating pattern in an error.

    Attributes:
        period_pixels: of the patches.
        frequency: where the pattern is strongest, in cycles a pixel, ``(rows, columns)``.
        ratio: power of the error there, over that at the frequencies around: about 1 if there is no pattern.
        pattern_hu: root mean square of the pattern: of all power above the surroundings, at all frequencies of the
            patches. A high ratio with a small fraction of a HU is where there is no other error.
    """

    period_pixels: int
    frequency: tuple[float, float]
    ratio: float
    pattern_hu: float


def error_spectrum(error_hu: torch.Tensor) -> NDArray[np.float64]:
    """Mean power spectrum ``[rows, columns]`` of errors ``(B, 1, H, W)`` in HU; it adds up to their mean square.

    A Hann window keeps what the edges of the image cut off from leaking into other frequencies.
    """
    error = error_hu[:, 0].double()
    rows, columns = (torch.hann_window(n, dtype=torch.float64, device=error.device) for n in error.shape[1:])
    window = rows[:, None] * columns
    power = torch.fft.fft2(error * window).abs().square().mean(0)
    return (power / (window.square().mean() * float(window.numel()) ** 2)).cpu().numpy()


def checkerboard(spectrum: NDArray[np.float64], period_pixels: int) -> Checkerboard:
    """Compare the spectrum at the multiples of one cycle a patch with its surroundings.

    Patches of ``period_pixels`` can leave a pattern of that period and of its divisors, along rows, columns or both:
    the pattern of every second pixel that transposed convolutions make is among them (Odena, Dumoulin and Olah,
    "Deconvolution and checkerboard artifacts", Distill 2016).

    Args:
        spectrum: from `error_spectrum`.
        period_pixels: pixels of the image along one latent pixel.

    Raises:
        UsageError: the patches are single pixels, or the image is too small to tell a pattern from its surroundings.
    """
    shape = spectrum.shape
    if period_pixels < 2 or any(n % period_pixels or n < 2 * (_RING + 1) * period_pixels for n in shape):
        raise UsageError(
            f"the error is {shape[0]} x {shape[1]} pixels; to see a pattern of {period_pixels} (2 or more) pixels in "
            f"it, its sides must be a multiple of that, {2 * (_RING + 1)} times or more; choose another size"
        )
    patterns = []
    for i, j in ((i, j) for i in range(period_pixels) for j in range(period_pixels) if (i, j) != (0, 0)):
        row, column = i * shape[0] // period_pixels, j * shape[1] // period_pixels
        peak, around = _peak_and_surroundings(spectrum, row, column)
        ratio = peak / around if around > 0 else 1.0 if peak == 0 else math.inf
        patterns.append((peak - around, ratio, (_signed(i / period_pixels), _signed(j / period_pixels))))
    _, ratio, frequency = max(patterns)
    power = sum(max(0.0, excess) for excess, _, _ in patterns) * (2 * _PEAK + 1) ** 2
    return Checkerboard(period_pixels, frequency, ratio, math.sqrt(power))


def _peak_and_surroundings(spectrum: NDArray[np.float64], row: int, column: int) -> tuple[float, float]:
    """Mean power in the small square around a frequency, and in the larger square without the small one."""
    offsets = np.arange(-_RING, _RING + 1)
    square = spectrum[(row + offsets)[:, None] % spectrum.shape[0], (column + offsets) % spectrum.shape[1]]
    small = np.abs(offsets) <= _PEAK
    inside = small[:, None] & small
    return float(square[inside].mean()), float(square[~inside].mean())


def _signed(frequency: float) -> float:
    return frequency - 1 if frequency > 0.5 else frequency
