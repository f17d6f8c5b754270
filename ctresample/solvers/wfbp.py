"""Weighted filtered back projection of helical scans.

Stierstorfer, Rauscher, Boese, Bruder, Schaller and Flohr, "Weighted FBP: a simple approximate 3D FBP algorithm for
multislice spiral CT with good dose usage for arbitrary pitch", Phys. Med. Biol. 49(11), 2004. Rays are sorted into
parallel ones, row by row; weighted by the cosine of their cone angle; filtered; and projected back along themselves.
Every direction that is seen in more than one half turn is a mean, in which rows near the detector's upper and lower
edge fade out. A flying focal spot makes as many scans as it has positions, each sorted by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ctresample.choices import Window
from ctresample.errors import GeometryError
from ctresample.geometry import Geometry, Grid, HelicalBeam, ParallelBeam, VolumeGrid
from ctresample.geometry.grid import Array
from ctresample.operators.given import as_tensor
from ctresample.solvers.ramp import ramp_filter
from ctresample.solvers.truncation import extended
from ctresample.units import MU_WATER_PER_MM

FULL_WEIGHT_ROWS = 0.6
"""Q of the paper: from this share of the detector's half height on, rows fade out to its edge."""

_MOST_UNSEEN = 0.002
"""Of the directions of a voxel, over all voxels of the field of view: more is a gap in the data."""


@dataclass(frozen=True, eq=False)
class _Sorted:
    """Filtered parallel rays of one position of the focal spot.

    Attributes:
        values: ``(directions, rows, bins)``.
        first: number of the first direction; direction n runs along ``n * step_rad``.
        t_mm: bins' distances from the axis, evenly spaced.
        source_z_mm: ``(directions, bins)``, height of the focal spot.
        length_mm: ``(bins,)`` from the focal spot to the detector, in the plane of a slice.
        spot_radius_mm: the focal spot's distance from the axis.
        spot_z_mm: the focal spot above F.
    """

    values: torch.Tensor
    first: int
    t_mm: Array
    source_z_mm: Array
    length_mm: Array
    spot_radius_mm: float
    spot_z_mm: float


def wfbp(
    y: torch.Tensor,
    geometry: Geometry,
    grid: Grid,
    *,
    window: Window = "ramp",
    cutoff: float = 1.0,
    mu_water_per_mm: float = MU_WATER_PER_MM,
    extrapolate: bool = True,
    progress: Callable[[float], None] | None = None,
) -> torch.Tensor:
    """Attenuation in 1/mm from line integrals.

    Args:
        y: line integrals ``(B, 1, detector rows, views, detectors)``.
        geometry: a helical beam; views in the order of their angles, evenly spaced or nearly so.
        grid: the volume grid. Slices are as thick as the rows see them; voxels outside the field of view are 0.
        window: of the ramp filter; see `ramp_filter`.
        cutoff: of the ramp filter, as a fraction of the detector's highest frequency.
        mu_water_per_mm: attenuation of water, of which an object that is wider than the detector goes on.
        extrapolate: whether it does; not for what is no object, such as a misfit.
        progress: told the fraction done.

    Returns:
        ``(B, 1, slices, rows, columns)``, same device and type as ``y``.

    Raises:
        GeometryError: no helical beam; less than half a turn; or directions that no turn has seen, because the helix
            is too fast for its detector or the slices lie beyond its ends.
    """
    if not isinstance(geometry, HelicalBeam) or not isinstance(grid, VolumeGrid):
        raise GeometryError("wfbp reconstructs helical scans; expected a helical beam and a volume grid")
    geometry.check_outside(grid)
    y = as_tensor(y, "y")
    n_half = _directions_a_half_turn(geometry)
    near = _views_that_reach(geometry, grid, n_half)
    part, mu_per_mm = geometry.with_views(near), mu_water_per_mm if extrapolate else 0.0
    images = []
    for one in y:
        image, unseen = _one(one[0, :, near], part, grid, n_half, window, cutoff, mu_per_mm, progress)
        if unseen > _MOST_UNSEEN:
            z = grid.z_mm
            raise GeometryError(
                f"{unseen:.1%} of the lines through the slices at z {z[0]:.5g} to {z[-1]:.5g} mm were seen in no turn "
                f"(pitch {geometry.pitch:.3g}, scan from {min(geometry.centre_z_mm):.5g} to "
                f"{max(geometry.centre_z_mm):.5g} mm): the helix is too fast for its detector, or these slices lie at "
                "its ends; choose slices further inside or a smaller field of view"
            )
        images.append(image)
    return torch.stack(images)[:, None]


def _one(
    y: torch.Tensor,
    geometry: HelicalBeam,
    grid: VolumeGrid,
    n_half: int,
    window: Window,
    cutoff: float,
    mu_per_mm: float,
    progress: Callable[[float], None] | None,
) -> tuple[torch.Tensor, float]:
    """The image, and the share of its lines that no turn has seen."""
    parts = [
        _sorted(y[:, views], geometry.with_views(views), n_half, window, cutoff, mu_per_mm)
        for views in _views_by_spot(geometry)
    ]
    x, y_mm, z = (torch.as_tensor(axis, dtype=y.dtype, device=y.device) for axis in reversed(grid.axes_mm))
    seen_mm = min(float(np.abs(part.t_mm[[0, -1]]).min()) for part in parts)
    within = x[None, :] ** 2 + y_mm[:, None] ** 2 <= seen_mm**2
    across, along = (torch.broadcast_tensors(x[None, :], y_mm[:, None])[a][within] for a in (0, 1))
    image = y.new_zeros(len(z), len(across))
    n_unseen = 0
    for direction in range(n_half):
        total, weights = torch.zeros_like(image), torch.zeros_like(image)
        for part in parts:
            for index in _same_direction(part, direction, n_half):
                angle = (part.first + index) * math.pi / n_half
                cos, sin = math.cos(angle), math.sin(angle)
                t, ahead = across * cos + along * sin, along * cos - across * sin
                _add(part, index, geometry, t, ahead, z, total, weights)
        n_unseen += int((weights <= 0).sum())
        image += total / weights.clamp_min(1e-6)
        if progress:
            progress((direction + 1) / n_half)
    unseen = n_unseen / max(1, n_half * image.numel())
    volume = y.new_zeros(grid.shape)
    volume[:, within] = image * (math.pi / n_half)
    return volume, unseen


def _add(
    part: _Sorted,
    index: int,
    geometry: HelicalBeam,
    t: torch.Tensor,
    ahead: torch.Tensor,
    z: torch.Tensor,
    total: torch.Tensor,
    weights: torch.Tensor,
) -> None:
    """Add one direction of one half turn, for the slices that it may reach."""
    n_bins, n_rows = len(part.t_mm), geometry.n_detector_rows
    place = (t - part.t_mm[0]) / (part.t_mm[1] - part.t_mm[0])
    low = place.floor().long().clamp(0, n_bins - 2)
    share = (place - low).clamp(0, 1)

    def at(values: Array) -> torch.Tensor:
        table = torch.as_tensor(values, dtype=t.dtype, device=t.device)
        return torch.lerp(table[low], table[low + 1], share)

    source_z = at(part.source_z_mm[index])
    scale = at(part.length_mm) / (ahead + (part.spot_radius_mm**2 - t**2).clamp_min(0).sqrt())
    half_mm = n_rows * geometry.detector_row_pitch_mm / 2
    offset = geometry.detector_row_offset_mm - part.spot_z_mm  # the row's height above the focal spot
    lowest, highest = float(scale.min()), float(source_z.max())
    reach = (half_mm + abs(offset)) / lowest
    slices = ((z >= float(source_z.min()) - reach) & (z <= highest + reach)).nonzero()[:, 0]
    if not len(slices):
        return
    near = slice(int(slices[0]), int(slices[-1]) + 1)
    row_mm = (z[near, None] - source_z) * scale - offset
    q = (row_mm / half_mm).abs()
    fade = torch.cos(math.pi / 2 * ((q - FULL_WEIGHT_ROWS) / (1 - FULL_WEIGHT_ROWS)).clamp(0, 1)) ** 2
    fade = torch.where(q < 1, fade, 0.0)
    # in [-1, 1] from the first to the last bin, as grid_sample counts; beyond the outer rows' centres they go on
    row = row_mm / geometry.detector_row_pitch_mm / max((n_rows - 1) / 2, 0.5)
    column = (place / (n_bins - 1) * 2 - 1).expand_as(row)
    places = torch.stack([column, row.clamp(-1, 1)], dim=-1)[None]
    sampled = F.grid_sample(
        part.values[index][None, None], places.to(part.values.dtype), align_corners=True, padding_mode="border"
    )[0, 0]
    total[near] += fade * sampled
    weights[near] += fade


def _same_direction(part: _Sorted, direction: int, n_half: int) -> Iterator[int]:
    """Places of the directions that are the same line directions, in all half turns."""
    return iter(range((direction - part.first) % n_half, len(part.values), n_half))


def _views_by_spot(geometry: HelicalBeam) -> list[NDArray[np.intp]]:
    """Numbers of the views with the focal spot at one place, for each place."""
    spots = np.round(geometry.spots, 5)
    _, which = np.unique(spots, axis=0, return_inverse=True)
    groups = [np.flatnonzero(which.ravel() == k) for k in range(which.max() + 1)]
    if min(map(len, groups)) < geometry.n_views / (4 * len(groups)) or len(groups) > 8:
        raise GeometryError(
            f"the focal spot is at {len(groups)} places, at some in few views; expected it to fly in a fixed pattern"
        )
    return groups


def _views_that_reach(geometry: HelicalBeam, grid: VolumeGrid, n_half: int) -> slice:
    """The run of views whose rays may meet the slices, and half a turn more on both sides for what is sorted by angle.

    A long scan would take its memory several times over to be sorted.
    """
    heights, spots = np.array(geometry.centre_z_mm), geometry.spots
    rows = np.abs(geometry.detector_rows_mm).max() + geometry.detector_row_pitch_mm + np.abs(spots[:, 2]).max()
    # no voxel is further from the source than twice its distance from the axis
    reach = 2 * rows / geometry.magnification + np.abs(spots[:, 2]).max() + abs(geometry.feed_mm) / 2
    near = np.flatnonzero((heights >= grid.z_mm[0] - reach) & (heights <= grid.z_mm[-1] + reach))
    # of slices beyond the ends of a scan the whole of it tells what is wrong
    return slice(int(near[0]), int(near[-1]) + 1) if len(near) >= 3 * n_half else slice(None)


def _directions_a_half_turn(geometry: HelicalBeam) -> int:
    angles = np.unwrap(geometry.angles_rad)
    steps = np.diff(angles)
    if len(steps) == 0 or abs(angles[-1] - angles[0]) < math.pi:
        raise GeometryError("a helical scan of less than half a turn cannot be reconstructed; expected more views")
    if not (np.all(steps > 0) or np.all(steps < 0)) or np.abs(steps).max() > 3 * np.median(np.abs(steps)):
        raise GeometryError("the views of the helix do not follow one another in even steps; are some missing?")
    return max(8, round(math.pi / float(np.median(np.abs(steps)))))


def _sorted(
    y: torch.Tensor, geometry: HelicalBeam, n_half: int, window: Window, cutoff: float, mu_per_mm: float
) -> _Sorted:
    """Sort the rays of one focal spot into parallel ones, weigh and filter them."""
    points, directions = geometry.rays(0)  # in the plane all views are alike, but for their angle
    middle = directions[geometry.n_detector_rows // 2]
    spot, heading = points[0, 0], np.arctan2(-middle[:, 0], middle[:, 1])
    turned = np.unwrap(heading) - geometry.angles_rad[0]  # from the view's angle to that of the parallel ray
    turned -= 2 * math.pi * round(float(np.median(turned)) / (2 * math.pi))
    t = spot[0] * np.cos(heading) + spot[1] * np.sin(heading)
    bins = geometry.source_mm(0)[:, None] + geometry.source_to_detector_mm * np.stack(
        [
            -np.sin(geometry.angles_rad[0] - geometry.fan_angles_rad),
            np.cos(geometry.angles_rad[0] - geometry.fan_angles_rad),
        ]
    )
    length = np.hypot(*(bins - spot[:2, None]))
    step = math.pi / n_half
    angles, heights = np.unwrap(geometry.angles_rad), np.array(geometry.centre_z_mm)
    order = np.argsort(angles)
    angles, heights, y = angles[order], heights[order], y[:, torch.as_tensor(order, device=y.device)]
    first = math.ceil((angles[0] + turned.max()) / step)
    last = math.floor((angles[-1] + turned.min()) / step)
    if last - first < n_half - 1:
        raise GeometryError("a helical scan of less than half a turn and its fan cannot be reconstructed")
    wanted = np.arange(first, last + 1) * step
    # along the views, for each bin at its own angle
    view = np.stack([np.interp(wanted - turn, angles, np.arange(len(angles))) for turn in turned], axis=1)
    below = np.minimum(view.astype(int), len(angles) - 2)
    share = torch.as_tensor(view - below, dtype=y.dtype, device=y.device)
    below_t = torch.as_tensor(below, device=y.device)
    column = torch.arange(geometry.n_detectors, device=y.device).expand_as(below_t)
    z = np.interp(view, np.arange(len(angles)), heights)
    # along the bins, to even distances from the axis
    rising = np.argsort(t)
    t_mm = np.linspace(t.min(), t.max(), geometry.n_detectors)
    place = np.interp(t_mm, t[rising], np.arange(len(t)))
    low = np.minimum(place.astype(int), len(t) - 2)
    part = torch.as_tensor(place - low, dtype=y.dtype, device=y.device)
    low_t = torch.as_tensor(rising[low], device=y.device)
    high_t = torch.as_tensor(rising[low + 1], device=y.device)
    spot_z = float(geometry.spots[0, 2])
    length_mm = np.interp(t_mm, t[rising], length[rising])
    above = geometry.detector_rows_mm[:, None] - spot_z
    cosine = length_mm / np.hypot(length_mm, above)
    weights = torch.as_tensor(cosine, dtype=y.dtype, device=y.device)
    filtered = y.new_empty(len(wanted), len(y), len(t_mm))
    for row, values in enumerate(y):  # a row at a time: sorting and filtering take several times what they work on
        rays = torch.lerp(values[below_t, column], values[below_t + 1, column], share)  # (directions, bins)
        even = torch.lerp(rays[..., low_t], rays[..., high_t], part) * weights[row]
        filtered[:, row] = _filtered(even, float(t_mm[1] - t_mm[0]), float(t_mm.mean()), window, cutoff, mu_per_mm)
    source_z = np.stack([np.interp(t_mm, t[rising], row[rising]) for row in z]) + spot_z
    radius = float(np.hypot(*spot[:2]))
    return _Sorted(filtered, first, t_mm, source_z, length_mm, radius, spot_z)


def _filtered(
    y: torch.Tensor, pitch_mm: float, middle_mm: float, window: Window, cutoff: float, mu_per_mm: float
) -> torch.Tensor:
    """Views ``(directions, bins)`` along the bins; where one is cut off the object goes on as water first."""
    n_left, n_bins = 0, y.shape[-1]
    if mu_per_mm:
        beam = ParallelBeam((0.0,) * len(y), n_bins, pitch_mm, middle_mm)
        longer, n_left, _ = extended(y[None, None], torch.ones_like(y), beam, mu_per_mm)
        y = longer[0, 0]
    return ramp_filter(y, pitch_mm, window=window, cutoff=cutoff)[..., n_left : n_left + n_bins]
