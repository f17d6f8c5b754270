"""The slices to reconstruct of a helical scan: which ones, and, for a preview, each as a fan beam of its own."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from ctresample.data_tools.sinogram.reading import read_sinogram, read_summary
from ctresample.errors import UsageError
from ctresample.geometry import FanBeam, HelicalBeam, ImageGrid, VolumeGrid
from ctresample.geometry.coverage import unseen_share
from ctresample.pipelines.machine_memory import memory_bytes
from ctresample.sinogram import Sinogram

_MOST_SLICES = 10_000
_BYTES = 12
"""Of each value of a helix: itself, its noise and what is made of them."""


def read_near(path: Path, z_range_mm: tuple[float, float] | None, *, every: int = 1) -> Sinogram:
    """A sinogram file; of a helix only those views that slices between two heights need, however long it is.

    Args:
        path: the file.
        z_range_mm: of the slices' centres, which `with_slices` then chooses; None for all.
        every: how many views `Sinogram.every` will take together.

    Raises:
        SinogramError: see `read_sinogram`.
        UsageError: more values than this machine can hold.
    """
    model = read_summary(path).model
    geometry, grid = model.geometry(), model.image_grid()
    if geometry.name != "helical":
        return read_sinogram(path)
    near = slice(0, geometry.n_views)
    if z_range_mm is not None:
        near = geometry.views_near(*z_range_mm, grid.radius_mm)
        near = slice(near.start - near.start % every, near.stop)
    needed = _BYTES * (near.stop - near.start) * math.prod(geometry.view_shape)
    if needed > memory_bytes():
        raise UsageError(
            f"{path}: these {near.stop - near.start} of its {geometry.n_views} views take {needed / 1e9:.3g} GB, more "
            "than this machine has; choose slices by a shorter --z-range LOW:HIGH"
        )
    return read_sinogram(path, views=near)


def with_slices(
    sinogram: Sinogram, z_range_mm: tuple[float, float] | None = None, slice_step_mm: float | None = None
) -> Sinogram:
    """A helical scan with other slices; the field of view stays.

    Args:
        sinogram: of a helix.
        z_range_mm: from the lowest to the highest slice's centre; by default those of the file.
        slice_step_mm: from slice to slice; by default that of the file.

    Raises:
        UsageError: no helical scan; a range without a slice, or where the scan did not see all directions.
    """
    if z_range_mm is None and slice_step_mm is None:
        return sinogram
    geometry, grid = _of_helix(sinogram, "--z-range and --slice-step choose slices")
    step = slice_step_mm or grid.slice_step_mm
    low, high = z_range_mm or (float(grid.z_mm[0]), float(grid.z_mm[-1]))
    if not (step > 0 and high >= low):
        raise UsageError(f"slices from {low:g} to {high:g} mm in steps of {step:g} mm are none; expected LOW:HIGH")
    n = math.floor((high - low) / step + 1e-6) + 1
    if n > _MOST_SLICES:
        raise UsageError(f"slices from {low:g} to {high:g} mm in steps of {step:g} mm are {n}; choose fewer")
    missing = unseen_share(geometry, np.array([low, low + (n - 1) * step]), 0.0)
    if missing.max() > 0:
        raise UsageError(
            f"slices from {low:g} to {high:g} mm reach beyond what the helix saw: its own are from "
            f"{grid.z_mm[0]:.5g} to {grid.z_mm[-1]:.5g} mm; choose among these"
        )
    x, y, _ = grid.centre_mm
    new = replace(grid, shape=(n, *grid.shape[1:]), slice_step_mm=step, centre_mm=(x, y, low + (n - 1) / 2 * step))
    affine = sinogram.affine.copy()
    up = affine[:3, 2] / grid.slice_step_mm
    affine[:3, 2], affine[:3, 3] = up * step, affine[:3, 3] + up * (low - grid.z_mm[0])
    headers = (sinogram.headers[0],) * n if sinogram.headers else ()
    return replace(sinogram, grid=new, affine=affine, headers=headers)


def single_slice_rebinned(sinogram: Sinogram) -> Sinogram:
    """Each slice as a flat fan beam, for a quick preview, or for methods that know slices only.

    Noo, Defrise and Clackdoyle, "Single-slice rebinning method for helical cone-beam CT", Phys. Med. Biol. 44(2),
    1999, for a curved detector: of the turn nearest to the slice the row whose ray meets the slice where it passes
    closest to the axis. Elsewhere the ray strays from the slice, by ``r dz / R`` at a radius r: edges that lean along
    the axis blur, and HU near them are off.

    Args:
        sinogram: of a helix.

    Returns:
        The same slices seen by a curved fan, whose origin says so.
    """
    geometry, grid = _of_helix(sinogram, "--rebin makes fan beams")
    angles, heights = np.unwrap(geometry.angles_rad), np.array(geometry.centre_z_mm)
    n_turn = max(2, round(2 * math.pi / float(np.median(np.abs(np.diff(angles))))))
    if n_turn > len(angles):
        raise UsageError(f"{len(angles)} views are less than a turn; a fan beam's slice needs one")
    order = np.argsort(angles)
    angles, heights, spots = angles[order], heights[order], geometry.spots[order]
    beta = np.arange(n_turn) * 2 * math.pi / n_turn
    gamma, to_axis = geometry.fan_angles_rad, geometry.source_to_axis_mm
    n_rows, pitch = geometry.n_detector_rows, geometry.detector_row_pitch_mm
    photons = sinogram.photons
    made = np.empty((len(grid.z_mm), n_turn, geometry.n_detectors), np.float32)
    column = np.arange(geometry.n_detectors)
    first = beta + 2 * math.pi * np.ceil((angles[0] - beta) / (2 * math.pi) - 1e-9)
    n_turns = int((angles[-1] - first.max() + 1e-9) // (2 * math.pi)) + 1
    candidates = first[:, None] + 2 * math.pi * np.arange(max(1, n_turns + 1))
    there = candidates <= angles[-1] + 1e-9
    nearest = np.clip(np.searchsorted(angles, candidates - (angles[1] - angles[0]) / 2), 0, len(angles) - 1)
    for number, z in enumerate(grid.z_mm):
        away = np.where(there, np.abs(z - heights[nearest] - spots[nearest, 2]), np.inf)
        views = nearest[np.arange(n_turn), away.argmin(axis=1)]
        rise = z - heights[views] - spots[views, 2]
        to_detector = geometry.source_to_detector_mm + spots[views, 1, None]
        climb = rise[:, None] * to_detector / ((to_axis + spots[views, 1, None]) * np.cos(gamma))
        row_mm = climb + spots[views, 2, None]
        place = np.clip((row_mm - geometry.detector_row_offset_mm) / pitch + (n_rows - 1) / 2, 0, n_rows - 1)
        low = np.minimum(place.astype(int), max(n_rows - 2, 0))
        share = place - low
        stored = order[views][:, None]
        lower, upper = (sinogram.values[np.minimum(row, n_rows - 1), stored, column[None]] for row in (low, low + 1))
        leaning = to_detector / np.hypot(to_detector, climb)
        made[number] = ((1 - share) * lower + share * upper) * leaning
    if isinstance(photons, np.ndarray):
        photons = np.tile(np.median(photons, axis=0), (n_turn, 1)).astype(np.float32)
    fan = FanBeam(
        tuple(beta.tolist()),
        geometry.n_detectors,
        geometry.detector_pitch_mm,
        geometry.detector_offset_mm,
        source_to_axis_mm=to_axis,
        source_to_detector_mm=geometry.source_to_detector_mm,
        detector_shape="curved",
    )
    return replace(
        sinogram,
        values=made,
        geometry=fan,
        grid=ImageGrid(grid.shape[1:], grid.pixel_size_mm, centre_mm=grid.centre_mm[:2]),
        photons=photons,
        bad_rays=None,
        origin=f"{sinogram.origin}; single-slice rebinning (Noo et al., 1999), a preview",
    )


def check_field_of_view(geometry: HelicalBeam, grid: VolumeGrid) -> None:
    """`UsageError` if the image is wider than what the detector sees."""
    seen = float(np.abs(geometry.from_axis_mm[[0, -1]]).min())
    _, y, x = grid.axes_mm
    widest = max(abs(x[0]), abs(x[-1]), abs(y[0]), abs(y[-1]))
    if widest > 1.02 * seen:
        raise UsageError(
            f"the image reaches {widest:.1f} mm from the axis, the scan's field of view {seen:.1f} mm; choose a "
            "smaller size, or smaller pixels"
        )


def _of_helix(sinogram: Sinogram, what: str) -> tuple[HelicalBeam, VolumeGrid]:
    if not isinstance(sinogram.geometry, HelicalBeam) or not isinstance(sinogram.grid, VolumeGrid):
        raise UsageError(f"{what} of helical scans; this is a {sinogram.geometry.name} beam; go on without")
    return sinogram.geometry, sinogram.grid
