"""Task measures of images as in AAPM TG-233: noise power, task transfer, and detectability from both.

Samei et al., "Performance evaluation of computed tomography systems", Med. Phys. 46(11), 2019. They describe a method
near the contrast, size and dose that they were measured at. A nonlinear method has no single transfer function: at
another contrast, or beside other anatomy, it may do something else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import GeometryError, UsageError

STEPS_A_PIXEL = 4
"""Of the edge that a task transfer function is read from, which is sampled finer than the pixels by its roundness."""

LEAST_RADIUS_PX = 4
"""Of a disc whose edge can be told from the rest."""

Images = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Curve:
    """A function of spatial frequency, the same in all directions.

    Attributes:
        frequency_per_mm: from 0, rising.
        values: at these.
    """

    frequency_per_mm: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, frequency_per_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """Values between, on straight lines; 0 beyond the end."""
        return np.interp(frequency_per_mm, self.frequency_per_mm, self.values, right=0.0)

    def falls_to(self, value: float) -> float:
        """The first frequency at which it is no more than this; the last one where it never is."""
        below = np.flatnonzero(self.values <= value)
        if not below.size:
            return float(self.frequency_per_mm[-1])
        k = int(below[0])
        if k == 0:
            return float(self.frequency_per_mm[0])
        f, v = self.frequency_per_mm, self.values
        return float(f[k - 1] + (v[k - 1] - value) / (v[k - 1] - v[k]) * (f[k] - f[k - 1]))


def noise_power(repeats_hu: Images, pixel_size_mm: float) -> Curve:
    """Noise power spectrum in HU^2 mm^2, averaged over directions, from repeated scans of one thing.

    Each image minus the mean of all, so that what is not noise drops out; ``n / (n - 1)`` makes up for the mean.

    Example:
        >>> white = np.random.default_rng(0).normal(0, 10, (20, 64, 64))
        >>> bool(abs(noise_power(white, 0.5).values.mean() / (10**2 * 0.5**2) - 1) < 0.05)
        True

    Args:
        repeats_hu: ``[repeat, y, x]``, two or more: a part of the images with alike noise.
        pixel_size_mm: of them.
    """
    if repeats_hu.ndim != 3 or len(repeats_hu) < 2:
        raise GeometryError(f"repeats have shape {repeats_hu.shape}; expected two or more images [repeat, y, x]")
    noise = np.asarray(repeats_hu, np.float64) - repeats_hu.mean(0, dtype=np.float64)
    n, rows, columns = noise.shape
    power = (np.abs(np.fft.fft2(noise)) ** 2).sum(0) / (n - 1) * pixel_size_mm**2 / (rows * columns)
    down, across = (np.fft.fftfreq(size, pixel_size_mm) for size in (rows, columns))
    return _over_directions(np.hypot(down[:, None], across), power, 1 / (min(rows, columns) * pixel_size_mm))


def average_frequency(noise: Curve) -> float:
    """Mean frequency of a noise power spectrum, in 1/mm: how fine the noise looks."""
    return float(np.sum(noise.frequency_per_mm * noise.values) / np.sum(noise.values))


def task_transfer(image_hu: Images, pixel_size_mm: float, *, radius_mm: float, at_px: tuple[float, float]) -> Curve:
    """Task transfer function from the edge of a disc: 1 at frequency 0.

    The edge is sampled by the distance of each pixel from the middle of the disc, finer than the pixels; its slope is
    the line spread, and the transfer function the spectrum of that. Of a disc of high contrast it is the MTF.

    Args:
        image_hu: ``[y, x]``: one image, or the mean of repeats, whose noise is less.
        pixel_size_mm: of it.
        radius_mm: of the disc, around which as much room as its radius is taken.
        at_px: row and column of its middle.

    Raises:
        UsageError: the disc is too small, or shows no contrast.
    """
    rows, columns = (np.arange(size) for size in image_hu.shape)
    from_middle = np.hypot(rows[:, None] - at_px[0], columns - at_px[1]) * pixel_size_mm
    step = pixel_size_mm / STEPS_A_PIXEL
    n = int(2 * radius_mm / step)
    if radius_mm < LEAST_RADIUS_PX * pixel_size_mm:
        least = f"{LEAST_RADIUS_PX} pixels, {LEAST_RADIUS_PX * pixel_size_mm:g} mm, or more"
        raise UsageError(f"the disc has a radius of {radius_mm:g} mm; expected {least}")
    near = from_middle < n * step
    bins = (from_middle[near] / step).astype(int)
    counts = np.bincount(bins, minlength=n)
    sums = np.bincount(bins, np.asarray(image_hu, np.float64)[near], minlength=n)
    distance = np.bincount(bins, from_middle[near], minlength=n)
    filled = counts > 0
    middles = (np.arange(n) + 0.5) * step
    edge = np.interp(middles, distance[filled] / counts[filled], sums[filled] / counts[filled])
    spread = np.gradient(edge, step)
    # a window around the edge: beyond it there is noise alone
    spread *= np.where(
        np.abs(middles - radius_mm) < radius_mm, np.cos(np.pi * (middles - radius_mm) / 2 / radius_mm), 0
    )
    spectrum = np.abs(np.fft.rfft(spread, 4 * n))
    if not spectrum[0] > 0:
        raise UsageError("the disc shows no contrast; expected an edge at its radius")
    frequency = np.fft.rfftfreq(4 * n, step)
    kept = frequency <= 0.5 / pixel_size_mm + 1e-9
    # the slope is taken over two steps, and each step is a mean over its width
    blur = np.sinc(2 * frequency[kept] * step) * np.sinc(frequency[kept] * step)
    return Curve(frequency[kept].astype(np.float64), spectrum[kept] / spectrum[0] / blur)


def task_detectability(diameter_mm: float, contrast_hu: float, transfer: Curve, noise: Curve) -> float:
    """``d'`` of the non-prewhitening observer for a disc, from the transfer function and the noise power.

    ``d'^2 = (int |W|^2 T^2)^2 / int |W|^2 T^2 N`` over the plane of frequencies, with the disc's spectrum ``W``.

    Args:
        diameter_mm: of the disc.
        contrast_hu: of it.
        transfer: measured at a contrast and dose like it.
        noise: the same.
    """
    from scipy.special import j1  # here, for it takes long to import

    step = 1 / (64 * diameter_mm)
    f = np.arange(0.5 * step, transfer.frequency_per_mm[-1], step)
    disc = contrast_hu * diameter_mm / 2 * j1(np.pi * diameter_mm * f) / f
    seen = (disc * transfer.at(f)) ** 2 * 2 * np.pi * f * step
    return float(seen.sum() / np.sqrt((seen * noise.at(f)).sum()))


def _over_directions(frequency: NDArray[np.float64], values: NDArray[np.float64], step: float) -> Curve:
    """Means over rings of one step, up to the highest frequency of the axes."""
    highest = frequency[0].max()
    rings = np.rint(frequency / step).astype(int)
    kept = rings <= round(highest / step)
    counts = np.bincount(rings[kept])
    total = np.bincount(rings[kept], values[kept])
    where = np.bincount(rings[kept], frequency[kept])
    return Curve(where / counts, total / counts)
