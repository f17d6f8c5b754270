"""What is doubtful about a sinogram, with the likely cause: asked when it is imported, and again before it is solved.

Nothing here refuses: each finding is a sentence for the person who knows the scan. The one list of them all is
`CHECKS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.data_tools.sinogram.consistency import conjugates, lost_views, moments, transposed
from ctresample.geometry import VolumeGrid
from ctresample.geometry.arcs import is_limited, missing_rad, unmeasured_rad, widest_step
from ctresample.sinogram import EDGE_AIR_SHARE, NOISE_FREE_SIGMA, Sinogram

LARGEST_LINE_INTEGRAL = 50.0
"""No detector counts the e^-50th part of its photons."""

FEW_VIEWS = 10
"""With fewer, almost any image fits the data."""

FAR_ABOVE_NOISE = 100.0
"""A residual so many times the noise says that the model of the scan is wrong, not the image."""

MISSES_NOISE = 2.0
"""Residual of an image that was fitted to the data, in noise levels, from which on texture of tens of HU was seen."""

_EDGE_BINS = 2
_OUTER_EDGE = 0.75
"""Of the outermost ray's distance from the axis: what ends nearer is the inner edge of a detector off the centre."""

_AIR_OFF = 0.04
"""Line integral of air from which on an open beam counts as off: 10 HU and more, of objects of up to 200 mm."""

AIR_ONLY_HU, LIGHTEST_HU, DENSEST_HU = -980.0, -500.0, 2500.0
"""Of what an image holds beside air: without water or tissue it may lie beyond, as foam, rock and metal do."""

Check = Callable[[Sinogram], Iterator[str]]


def findings(sinogram: Sinogram) -> tuple[str, ...]:
    """What is doubtful about a sinogram, a sentence each; empty where nothing is."""
    absurd = float(np.abs(sinogram.values).max()) > 20 * LARGEST_LINE_INTEGRAL
    checks = (_levels,) if absurd else CHECKS  # of what is no line integral the others say nothing
    return tuple(text for check in checks for text in check(sinogram))


def residual_finding(ratios: Sequence[float], sinogram: Sinogram, *, fitted: bool, early: bool = False) -> str | None:
    """What is doubtful about the residuals of an image.

    Args:
        ratios: of each slice, over that of the noise.
        sinogram: what the image was made of.
        fitted: whether it was fitted to the data up to their noise; that of FBP and of networks alone never is.
        early: whether by a method that may stop before it fits.
    """
    mean, worst, n_views = sum(ratios) / len(ratios), max(ratios), sinogram.geometry.n_views
    if not mean < FAR_ABOVE_NOISE:
        return (
            f"the image misses the data by {mean:.3g} times their noise: the geometry, the units or the number of "
            "photons are likely wrong, or the object is wider than the image"
        )
    if fitted and worst >= MISSES_NOISE:
        n = sum(ratio >= MISSES_NOISE for ratio in ratios)
        where = "" if n == len(ratios) else f" (in {n} of {len(ratios)} slices)"
        return (
            f"the image misses the data by up to {worst:.3g} times their noise{where}, and may hold texture of tens of "
            f"HU or lack detail: {_why_missed(sinogram, early)}"
        )
    if n_views < FEW_VIEWS:
        return f"a residual from {n_views} view{'s'[: n_views > 1]} says nothing about the image: almost any would fit"
    return None


def _why_missed(sinogram: Sinogram, early: bool) -> str:
    """Likely causes of data that an image does not explain, with the ways out."""
    causes = ["the method stopped early (tv goes on)"] if early else []
    causes += ["the scan holds what its model does not (beam hardening, scatter, motion, an open beam that is off)"]
    pixel_mm = max(map(abs, sinogram.grid.steps_mm[-2:]))
    if pixel_mm > 0.5 * float(np.median(np.abs(np.diff(sinogram.geometry.from_axis_mm)))):
        causes.insert(0, f"pixels of {pixel_mm:.3g} mm are too coarse for what so many photons say (a larger --size)")
    if sinogram.photons is None:
        causes.insert(0, f"a noise of {NOISE_FREE_SIGMA:.1%} is taken where no photons are stated (key photons)")
    return ", or ".join(causes)


def image_finding(image_hu: NDArray[np.float32], sinogram: Sinogram) -> str | None:
    """What is doubtful about the level of an image.

    Air, -1000 HU, is right with any unit, so that what lies beside it tells whether lengths and logarithms are.
    """
    step = max(1, round((image_hu.size / 2**20) ** (1 / 3)))
    some = image_hu[(slice(None, None, step),) * image_hu.ndim]
    top = float(np.quantile(some, 0.98))
    nothing = top < AIR_ONLY_HU and float(np.quantile(sinogram.values, 0.99)) < _AIR_OFF
    if nothing or is_limited(sinogram.geometry) or sinogram.geometry.n_views < FEW_VIEWS:
        return None
    level = float(np.median(some[some >= (top - 1000) / 2]))
    if LIGHTEST_HU <= level <= DENSEST_HU:
        return None
    return (
        f"what is not air lies at about {level:.0f} HU; if there is water or tissue in it, the unit of "
        "detector_pitch_mm or mu_water_per_mm, a distance, or the base of the logarithm (natural) is likely wrong"
    )


def truncated_share(sinogram: Sinogram) -> float:
    """Share of the views, over all slices, in which an edge of the detector still reads the object.

    Of a detector off the centre only the outer edge counts: the inner one sees the object on purpose. The level of
    air is that of the views' quietest edges, since a scan of air that is a little off moves all of them.
    """
    values, geometry = sinogram.values, sinogram.geometry
    if values.shape[2] < 4 * _EDGE_BINS:
        return 0.0
    left, right = values[..., :_EDGE_BINS].mean(axis=2), values[..., -_EDGE_BINS:].mean(axis=2)
    air = max(0.0, float(min(np.quantile(left, 0.05), np.quantile(right, 0.05))))
    level = EDGE_AIR_SHARE * float(np.quantile(values, 0.99))
    if sinogram.photons is not None:
        noise = float(np.median(np.minimum(sinogram.sigma(), BAD_RAY_SIGMA)))
        level = max(level, 4 * noise / math.sqrt(_EDGE_BINS))
    # where the edge reads much everywhere, there is no air to compare with
    air = 0.0 if air > 5 * level else air
    first, last = _edges_mm(sinogram)
    reach = max(abs(first), abs(last))
    sides = [side for side, place in ((left, first), (right, last)) if abs(place) > _OUTER_EDGE * reach]
    if not geometry.is_volume:
        return float(np.mean(np.any([side - air > level for side in sides], axis=0)))
    rows = slice(len(values) // 4, max(len(values) // 4 + 1, 3 * len(values) // 4))  # above and below there is air
    return float(np.mean(np.any([side[rows] - air > level for side in sides], axis=0)))


def _edges_mm(sinogram: Sinogram) -> tuple[float, float]:
    """How far from the axis the outermost rays pass, to either side."""
    away = sinogram.geometry.from_axis_mm
    return float(away[0]), float(away[-1])


# ---------------------------------------------------------------- the checks


def _levels(sinogram: Sinogram) -> Iterator[str]:
    values = sinogram.values
    low, high = float(values.min()), float(values.max())
    negative = float(np.mean(values < -_noise(sinogram)))
    if high > LARGEST_LINE_INTEGRAL:
        yield (
            f"line integrals reach {high:.4g}, above the {LARGEST_LINE_INTEGRAL:g} of any scan: are they counts, or of "
            "lengths in another unit than mm?"
        )
    elif low >= 0 and 0.5 < float(np.quantile(values, 0.99)) <= 1.02 and _brighter_outside(values):
        yield "values are at most 1 and highest at the detector's edges: are they the transmission (key quantity)?"
    if negative > 0.5:
        yield (
            f"{negative:.0%} of the line integrals are negative: is the sign reversed, the open beam (i0, flat fields) "
            "too low, or the quantity a transmission?"
        )
    elif negative > 0.1:
        yield (
            f"{negative:.0%} of the line integrals are clearly negative, a transmission above 1: is the open beam (i0, "
            "flat fields) too low?"
        )
    if high == low:
        yield f"all line integrals are {low:.4g}: there is nothing to reconstruct"


def _brighter_outside(values: NDArray[np.float32]) -> bool:
    n = values.shape[2]
    edges = np.concatenate([values[..., : n // 10 + 1], values[..., -(n // 10 + 1) :]], axis=2)
    return float(np.median(edges)) > float(np.median(values[..., n // 3 : 2 * n // 3 + 1]))


def _air(sinogram: Sinogram) -> Iterator[str]:
    """Edges that read the same everywhere are not an object but an open beam that is off."""
    values = sinogram.values
    if values.shape[2] < 8 or values.shape[1] < 4:
        return
    edges = np.concatenate([values[..., :_EDGE_BINS], values[..., -_EDGE_BINS:]], axis=2).mean(axis=(0, 2))
    level, spread = float(np.median(edges)), float(np.quantile(edges, 0.9) - np.quantile(edges, 0.1))
    factor = math.exp(min(abs(level), 50.0))
    matters = abs(level) > max(_AIR_OFF, EDGE_AIR_SHARE * float(np.quantile(values, 0.99)))
    if matters and spread < max(0.1 * abs(level), 3 * _noise_of_view(sinogram)):
        way = "high" if level > 0 else "low"
        yield (
            f"both edges of the detector read {level:.3g} in all views: if they see air, the open beam (i0, flat "
            f"fields) is too {way} by a factor of {factor:.3g}"
        )


def _truncation(sinogram: Sinogram) -> Iterator[str]:
    share = truncated_share(sinogram)
    if share > 0.05:
        yield (
            f"in {share:.0%} of the views the object reaches beyond the detector: HU are too high near its edge unless "
            "the image covers the whole object (import without image, or reconstruct --size and --pixel-size); FBP "
            "goes on with a cylinder of water"
        )


def _angles(sinogram: Sinogram) -> Iterator[str]:
    geometry = sinogram.geometry
    n, angles = geometry.n_views, np.asarray(geometry.angles_rad)
    arc = float(np.ptp(angles))
    if geometry.name == "helical":  # turns many times, and is judged by its slices
        return
    if n < FEW_VIEWS:
        yield f"{n} view{'s'[: n > 1]}: too few to tell an image; the residual says nothing, for almost any would fit"
    if n > 2 and math.degrees(arc) <= 2 * math.pi * 1.02:
        yield (
            f"{n} views span {math.degrees(arc):.3g} degrees: were the angles radians, that is "
            f"{math.degrees(math.degrees(arc)):.4g} degrees?"
        )
        return
    if n < FEW_VIEWS:
        return
    if arc > 1.02 * 8 * math.pi:
        yield f"the views turn {arc / 2 / math.pi:.3g} times: are the angles degrees that were taken for radians?"
    wide, median = widest_step(geometry)
    gaps = unmeasured_rad(geometry)
    if wide > 3 * median:
        once = (
            "" if geometry.name == "parallel" or not gaps else ": of a short scan HU may be 10 off, iterative ones not"
        )
        yield (
            f"views are up to {math.degrees(wide):.3g} degrees apart, the median {math.degrees(median):.3g}: in FBP "
            f"their neighbours stand for what is missing{once}"
        )
    missing = missing_rad(geometry)
    if missing > math.radians(1) + 2 * median:
        yield (
            f"no view measured {math.degrees(missing):.3g} degrees of the arc that an image needs: a limited angle, "
            "with streaks and wrong HU in FBP; nothing is made up for it"
        )


def _views(sinogram: Sinogram) -> Iterator[str]:
    """What the views of one object have in common, where all of it is seen."""
    yield from lost_views(sinogram)
    if sinogram.geometry.n_views >= FEW_VIEWS:
        yield from transposed(sinogram)
        first, last = map(abs, _edges_mm(sinogram))
        centred = min(first, last) > _OUTER_EDGE * max(first, last)  # else half of the object is not seen on purpose
        if centred and truncated_share(sinogram) < 0.05:
            yield from moments(sinogram)
        yield from conjugates(sinogram)


def _noise_of_view(sinogram: Sinogram) -> float:
    """Of the mean of both edges in a view; 0 where photons are not known."""
    if sinogram.photons is None:
        return 0.0
    edges = np.concatenate([sinogram.sigma()[..., :_EDGE_BINS], sinogram.sigma()[..., -_EDGE_BINS:]], axis=2)
    return float(np.median(edges)) / math.sqrt(2 * _EDGE_BINS * len(edges))


def _noise(sinogram: Sinogram) -> float:
    """What a value may be below 0 for noise alone."""
    if sinogram.photons is None:
        return 0.02 * float(np.abs(sinogram.values).max(initial=0))
    return 4 * float(np.median(sinogram.sigma()))


def _unknown(sinogram: Sinogram) -> Iterator[str]:
    if sinogram.bad_rays is not None and (share := float(sinogram.bad_rays.mean())) > 0.1:
        yield f"{share:.0%} of the rays are not known: what is seen of the object may be little"


def _panel(sinogram: Sinogram) -> Iterator[str]:
    """Slices of a cone beam above or below what the panel sees at the axis, where an image shows something, too."""
    if sinogram.geometry.seen_at_axis_mm is None:
        return
    low, high = sinogram.geometry.seen_at_axis_mm
    grid = cast(VolumeGrid, sinogram.grid)
    unseen = np.flatnonzero((grid.z_mm < low) | (grid.z_mm > high))
    if len(unseen):
        yield (
            f"{len(unseen)} of {sinogram.n_slices} slices lie beyond the panel, which sees z {low:.4g} to {high:.4g} "
            f"mm at the axis (slice {unseen[0] + 1} is at {grid.z_mm[unseen[0]]:.4g} mm): what the image shows there "
            "was not measured; choose fewer slices when it is imported, or check the rows, their pitch and offset"
        )


CHECKS: tuple[Check, ...] = (_levels, _air, _truncation, _panel, _angles, _views, _unknown)
