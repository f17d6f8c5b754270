"""Find the rotation axis: the offset with which the views agree on one image.

Two questions are asked of the data. Of parallel views the centre of mass of a view moves along the detector as
``x cos(theta) + y sin(theta)`` plus the offset, whatever the object (the second of the consistency conditions of
Helgason and Ludwig); that tells the offset at once, if the detector sees all of the object. Of any beam: no image
explains views that turn about another point, so the misfit of a least squares image, after a few iterations, is least
at the true offset. It is smooth around there, and a parabola through its lowest points tells parts of a bin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.errors import SinogramError
from ctresample.geometry import Geometry, HelicalBeam, ImageGrid
from ctresample.operators.sparse import joseph_matrix
from ctresample.pipelines.alignment.alignment import Alignment, lowest
from ctresample.pipelines.alignment.helix import find_centre
from ctresample.sinogram import Sinogram

_COARSE_BINS, _FINE_BINS, _MOST_VIEWS, _MOST_SLICES = 64, 192, 120, 3
_REACH = 0.12
"""Of the detector's width, to both sides: offsets that are looked for."""
_COARSE_STEPS = 25
_ITERATIONS = 8
_FLAT = 0.1
"""Share of the median misfit by which the least must lie below it; of pure noise it is 3 %."""
_LEAST_ARC_RAD = math.radians(150)


def find_axis(sinogram: Sinogram, progress: Callable[[float], None] = lambda share: None) -> Alignment:
    """The offset of the rotation axis that a scan's own views agree on.

    Args:
        sinogram: of a parallel beam over at least 150 degrees, of a fan or cone over more than its half circle; of a
            helix the centre of the detector is found, see `find_centre`.
        progress: told the share done.

    Raises:
        SinogramError: too short an arc, or no offset that explains the views better than others.
    """
    if isinstance(sinogram.geometry, HelicalBeam):
        return find_centre(sinogram, progress)
    slices = _fan_slices(sinogram)
    geometry = slices.geometry
    if geometry.n_views < 8 or _arc_rad(geometry) < _LEAST_ARC_RAD:
        raise SinogramError(
            f"{geometry.n_views} views over {math.degrees(_arc_rad(geometry)):.0f} degrees do not tell the axis; "
            "expected at least 8 views over 150 degrees; set the offset by hand"
        )
    is_parallel = "axis_offset_mm" not in geometry.lengths_mm
    parameter = "detector_offset_mm" if is_parallel else "axis_offset_mm"
    bin_mm = geometry.detector_pitch_mm / geometry.magnification
    before = float(getattr(geometry, parameter))
    moments = _by_moments(slices) if is_parallel else None
    reach = _REACH * geometry.n_detectors * bin_mm
    coarse, fine = _Misfit(slices, parameter, _COARSE_BINS), _Misfit(slices, parameter, _FINE_BINS)
    offsets = before + np.linspace(-reach, reach, _COARSE_STEPS)
    values = []
    for number, offset in enumerate(offsets):
        values.append(coarse(offset))
        progress(0.6 * (number + 1) / len(offsets))
    best = int(np.argmin(values))
    if best in (0, len(offsets) - 1) or min(values) > (1 - _FLAT) * float(np.median(values)):
        raise SinogramError(
            f"no axis within {reach / bin_mm:.0f} bins of the present one explains the views better than others: is "
            "the object too round, the arc too short, or the angle direction the other one?"
        )
    step = float(offsets[1] - offsets[0])
    centre = lowest(offsets[best - 1 : best + 2], values[best - 1 : best + 2])
    for number, width in enumerate((step / 2, step / 6, max(step / 18, 0.35 * bin_mm))):
        five = centre + width * np.array([-2, -1, 0, 1, 2])
        centre = lowest(five, [fine(offset) for offset in five])
        progress(0.6 + 0.13 * (number + 1))
    if moments is not None and abs(moments - centre) <= bin_mm:
        centre = moments  # of half a turn it is the sharper of the two
    found = (fine(before), fine(centre))
    progress(1)
    return Alignment(parameter, before, centre, bin_mm, moments, found)


def _fan_slices(sinogram: Sinogram) -> Sinogram:
    """A few slices to judge by; of a cone beam the row in the plane of the source's circle, which is a fan."""
    geometry = sinogram.geometry
    bad = sinogram.bad_rays
    if sinogram.angle_shifts_rad is not None:
        raise SinogramError("align knows no scan whose slices are seen from different angles; align one group of them")
    if geometry.is_volume:
        lengths, n_rows = geometry.lengths_mm, geometry.view_shape[0]
        middle = (n_rows - 1) / 2 - lengths["detector_row_offset_mm"] / lengths["detector_row_pitch_mm"]
        rows = np.array([int(np.argmin(np.abs(np.arange(n_rows) - middle)))])
        geometry = cast(Geometry, geometry.one_row())
        affine = np.eye(4)
    else:
        signal = sinogram.values.sum(axis=(1, 2))
        rows, affine = np.sort(np.argsort(signal)[-_MOST_SLICES:]), sinogram.affine
    grid = ImageGrid((8, 8), geometry.detector_pitch_mm / geometry.magnification)
    return Sinogram(
        sinogram.values[rows],
        geometry,
        grid,
        affine,
        photons=sinogram.photons,
        bad_rays=None if bad is None else bad[rows],
    )


def _arc_rad(geometry: Geometry) -> float:
    angles = np.asarray(geometry.angles_rad)
    return float(np.ptp(angles)) * geometry.n_views / max(1, geometry.n_views - 1)


def _by_moments(sinogram: Sinogram) -> float | None:
    """From the views' centres of mass; None where the detector does not see all of the object."""
    values, geometry = sinogram.values.astype(np.float64), sinogram.geometry
    edge = np.concatenate([values[..., :3], values[..., -3:]], axis=-1).mean()
    mass = values.sum(axis=-1)
    if edge > 0.01 * values.max() or (mass <= 0.1 * mass.max()).any():
        return None
    theta = np.asarray(geometry.angles_rad)
    basis = np.stack([np.cos(theta), np.sin(theta), np.ones_like(theta)], axis=1)
    offsets = []
    for one, total in zip(values, mass, strict=True):
        centres = (one * geometry.detector_mm).sum(axis=-1) / total
        offsets.append(np.linalg.lstsq(basis, centres, rcond=None)[0][2])
    # what is left over is the error of the middle of the detector
    return float(geometry.detector_offset_mm - np.mean(offsets))


class _Misfit:
    """Root mean square misfit of a least squares image, by offset; bins are averaged to at most so many."""

    def __init__(self, sinogram: Sinogram, parameter: str, most_bins: int) -> None:
        geometry = sinogram.geometry
        views = np.unique(np.linspace(0, geometry.n_views - 1, min(_MOST_VIEWS, geometry.n_views)).round().astype(int))
        factor = max(1, geometry.n_detectors // most_bins)
        n = geometry.n_detectors // factor
        lost = geometry.n_detectors - n * factor
        shape = (*sinogram.values.shape[:1], len(views), n, factor)
        kept = sinogram.values[:, views, : n * factor]
        weight = 1 / np.minimum(sinogram.sigma()[:, views, : n * factor], BAD_RAY_SIGMA) ** 2
        weight = weight.reshape(shape).astype(np.float64)
        binned = (kept.reshape(shape) * weight).sum(-1) / weight.sum(-1)
        pitch = geometry.detector_pitch_mm
        geometry = geometry.with_views(views)
        self._geometry = replace(
            geometry,
            n_detectors=n,
            detector_pitch_mm=pitch * factor,
            detector_offset_mm=geometry.detector_offset_mm - lost / 2 * pitch,
        )
        self._parameter, self._shift = parameter, -lost / 2 * pitch if parameter == "detector_offset_mm" else 0.0
        total = weight.sum(-1)
        # rays in the order of the matrix, slices side by side
        self._y = binned.reshape(len(binned), -1).T.astype(np.float32)
        self._weight = np.sqrt(total / total.max()).reshape(len(total), -1).T.astype(np.float32)
        # a margin, for the axis may be off, and pixels a little larger than bins, so that noise is averaged
        side = math.ceil(1.15 * n / 1.25)
        self._grid = ImageGrid((side, side), 1.25 * pitch * factor / geometry.magnification)

    def __call__(self, offset_mm: float) -> float:
        changes: dict[str, Any] = {self._parameter: float(offset_mm) + self._shift}
        geometry = replace(self._geometry, **changes)
        A, w = joseph_matrix(geometry, self._grid), self._weight  # not kept: each is of use once
        r = w * self._y
        s = A.T @ (w * r)
        p, ss = s, float(np.square(s).sum())
        for _ in range(_ITERATIONS):
            q = w * (A @ p)
            alpha = ss / max(float(np.square(q).sum()), 1e-30)
            r = r - alpha * q
            s = A.T @ (w * r)
            ss, old = float(np.square(s).sum()), ss
            p = s + ss / max(old, 1e-30) * p
        return float(np.sqrt(np.square(r, dtype=np.float64).mean()))
