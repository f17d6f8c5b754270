"""What the views of one object have in common, and what is wrong where they have not: each finding a sentence.

Of parallel rays the conditions of Helgason and Ludwig: all views hold the same amount, and their centre of mass goes
as a sine of the angle (Natterer, "The Mathematics of Computerized Tomography", 1986, section II.4). Of any beam: a line
that is measured twice reads the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.geometry.arcs import is_limited
from ctresample.sinogram import Sinogram

_LOST = 0.3
"""Of the median view: one that holds less saw nothing, or the detector did not."""

_UNEVEN = 0.05
"""Relative standard deviation of what parallel views hold."""

_STRAYS = 0.01
"""Of the width of the object: so far may its centre of mass stray, or a bin."""

_DISAGREES = 0.05
"""Of the root mean square line integral. Of good scans rays along one line differ by less than 0.025, interpolation
and 100,000 photons included; an axis that is half a bin off makes 0.065 of them."""


def lost_views(sinogram: Sinogram) -> Iterator[str]:
    """Views that hold next to nothing; of a helix, which begins and ends beside the object, that is right."""
    if sinogram.geometry.name == "helical" or sinogram.geometry.n_views < 3:
        return
    held = sinogram.values.sum(axis=(0, 2), dtype=np.float64)
    median = float(np.median(held))
    lost = np.flatnonzero(held < _LOST * median) if median > 0 else np.empty(0, int)
    if len(lost):
        yield (
            f"{len(lost)} of {len(held)} views hold next to nothing (from 0: {', '.join(map(str, lost[:8]))}"
            f"{', ...' * (len(lost) > 8)}): lost? leave them out with bad_views"
        )


def transposed(sinogram: Sinogram) -> Iterator[str]:
    """Whether the columns of a square parallel scan hold equal amounts, and not its views."""
    geometry, values = sinogram.geometry, sinogram.values
    if geometry.name != "parallel" or geometry.n_views != geometry.n_detectors:
        return
    here, there = (_unevenness(array) for array in (values, values.swapaxes(1, 2)))
    if here > _UNEVEN and there < 0.3 * here:
        yield (
            f"the views do not hold the same amount (they differ by {here:.0%}), the columns would ({there:.0%}): "
            "is the square sinogram transposed (axes)?"
        )


def moments(sinogram: Sinogram) -> Iterator[str]:
    """Amount and centre of mass of parallel views that see the whole object."""
    geometry = sinogram.geometry
    if geometry.name != "parallel":
        return
    uneven = _unevenness(sinogram.values)
    if uneven > _UNEVEN:
        yield (
            f"the views do not hold the same amount, they differ by {uneven:.0%}: does the open beam drift (flat "
            "fields, i0), are views lost (bad_views), or did something leave the field of view?"
        )
        return
    angles = np.asarray(geometry.angles_rad)
    if sinogram.angle_shifts_rad is not None or is_limited(geometry):
        return
    values = sinogram.values.sum(axis=0, dtype=np.float64)
    place_mm, held = np.asarray(geometry.from_axis_mm), values.sum(axis=1)
    if held.min() <= 0:
        return
    centre_mm = values @ place_mm / held
    sine = np.stack([np.cos(angles), np.sin(angles), np.ones_like(angles)], axis=1)
    fit = np.linalg.lstsq(sine, centre_mm, rcond=None)[0]
    strays_mm = np.abs(centre_mm - sine @ fit)
    bin_mm = float(np.abs(np.diff(place_mm)).mean())
    width_mm = math.sqrt(max(0.0, float(np.mean(values @ place_mm**2 / held - centre_mm**2))))
    least_mm = max(bin_mm, _STRAYS * width_mm, 6 * _noise_of_centre_mm(sinogram, held, place_mm))
    if strays_mm.max() > least_mm:
        yield (
            f"the centre of mass strays by up to {strays_mm.max() / bin_mm:.3g} bins (view {int(strays_mm.argmax())}, "
            "from 0) from the sine of the angle that an object makes: are the views in another order than the angles, "
            "are these of another unit, or did the object move?"
        )
    elif abs(fit[2]) > least_mm:
        axis_bin = float(np.interp(fit[2], *_rising(place_mm)))
        yield (
            f"the views turn around bin {axis_bin:.2f}, {abs(fit[2]) / bin_mm:.2f} bins from where the rotation axis "
            "is taken to be: rotation_axis_bin?"
        )


def _rising(place_mm: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    order = np.argsort(place_mm)
    return place_mm[order], order.astype(np.float64)


def _noise_of_centre_mm(sinogram: Sinogram, held: NDArray[np.floating], place_mm: NDArray[np.floating]) -> float:
    if sinogram.photons is None:
        return 0.0
    variance = np.square(np.minimum(sinogram.sigma(), BAD_RAY_SIGMA), dtype=np.float64).sum(axis=0)
    return float(np.sqrt(np.median(variance @ place_mm**2 / held**2)))


def _unevenness(values: NDArray[np.float32]) -> float:
    sums = values.sum(axis=(0, 2), dtype=np.float64)
    return float(sums.std() / max(abs(sums.mean()), 1e-30))


def conjugates(sinogram: Sinogram) -> Iterator[str]:
    """A line that was measured from both its ends must read the same; with mirrored angles it does not.

    Of a cone beam the lines in the plane of the source's circle.
    """
    geometry = sinogram.geometry
    if geometry.n_views < 30 or geometry.name == "helical":
        return
    here, mirrored = (_disagreement(sinogram, sign) for sign in (1, -1))
    if here is None or mirrored is None:
        return
    known = sinogram.sigma()[sinogram.sigma() < BAD_RAY_SIGMA]
    noise = float(np.sqrt(2 * np.mean(np.square(known, dtype=np.float64)))) if sinogram.photons is not None else 0.0
    scale = float(np.sqrt(np.mean(sinogram.values.astype(np.float64) ** 2)))
    if here > max(0.03 * scale, 3 * noise) and mirrored < 0.5 * here:
        yield (
            f"rays along the same line from both ends differ by {here:.3g} (mirrored by {mirrored:.3g}): is the angle "
            "direction the other one (angle_direction), or the detector mirrored?"
        )
    elif here > max(_DISAGREES * scale, 3 * noise):
        yield (
            f"rays along the same line from both ends differ by {here:.3g}, of {scale:.3g}: is the rotation axis off "
            "(rotation_axis_bin, offsets), are the beam, its distances or the unit of angles others, are axes "
            "exchanged (axes), or did the object move?"
        )


def _disagreement(sinogram: Sinogram, sign: int) -> float | None:
    """Root mean square difference of a slice's conjugate rays; None where too few lines are seen twice."""
    row = len(sinogram.values) // 2
    geometry = sinogram.geometry_of(row)
    if geometry.is_volume:
        n, lengths = len(sinogram.values), geometry.lengths_mm
        pitch_mm = lengths["detector_row_pitch_mm"]
        heights_mm = (np.arange(n) - (n - 1) / 2) * pitch_mm + lengths["detector_row_offset_mm"]
        row = int(np.argmin(np.abs(heights_mm)))
        if abs(heights_mm[row]) > pitch_mm:  # the panel lies beside the plane
            return None
    values = sinogram.values[row].astype(np.float64)
    theta = sign * np.asarray(geometry.angles_rad)
    fan, (position, _) = geometry.name != "parallel", geometry.line_coordinates
    order = np.argsort(np.mod(theta, 2 * math.pi))
    angles = np.mod(theta, 2 * math.pi)[order]
    steps = np.diff(angles, append=angles[0] + 2 * math.pi)
    near = 1.5 * float(np.median(steps))
    differences = []
    for view in range(0, geometry.n_views, max(1, geometry.n_views // 24)):
        there = np.mod(theta[view] + math.pi - (2 * position if fan else 0.0), 2 * math.pi)
        there = np.broadcast_to(there, position.shape)
        after = np.searchsorted(angles, there) % len(angles)
        before = after - 1
        gap = np.mod(angles[after] - angles[before], 2 * math.pi)
        share = np.mod(there - angles[before], 2 * math.pi) / np.where(gap > 0, gap, 1)
        seen = (gap <= near) & (share <= 1) & (-position >= position.min()) & (-position <= position.max())
        bins = np.interp(-position, position, np.arange(len(position)))
        low = np.minimum(bins.astype(int), len(position) - 2)
        weight = bins - low
        first, second = (
            (1 - weight) * values[order[k], low] + weight * values[order[k], low + 1] for k in (before, after)
        )
        differences.append((values[view] - ((1 - share) * first + share * second))[seen])
    found = np.concatenate(differences)
    return None if len(found) < 8 * geometry.n_detectors**0.5 else float(np.sqrt(np.mean(found**2)))
