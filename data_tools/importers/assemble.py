"""A sinogram out of readings and their description."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.bad_rays import filled
from ctresample.choices import VOLUME_BEAMS
from ctresample.cleaning import cleaned, suspicious_bins
from ctresample.data_tools.importers.description import Description
from ctresample.data_tools.importers.line_integrals import to_line_integrals
from ctresample.data_tools.importers.readings import Note, Readings
from ctresample.data_tools.sinogram.schema import MAX_SIDE
from ctresample.errors import SinogramError
from ctresample.geometry import Geometry, Grid, ImageGrid, VolumeGrid
from ctresample.noise import estimate_photons
from ctresample.sinogram import EDGE_AIR_SHARE, Sinogram

_WHOLE = 32
"""Sides of images are multiples of it: what autoencoders halve five times."""

_MOST_WIDER = 2.5
"""Times the field of view: the widest default image."""


def assemble(
    readings: Readings, described: Description, on_note: Note, mask: NDArray[np.bool_] | None = None
) -> Sinogram:
    """Order the axes, take the logarithm, choose a grid where none is given.

    Args:
        readings: as a file has them; the values may be overwritten.
        described: what they are.
        on_note: told whatever was chosen, floored or taken as said by default.
        mask: true where readings are not known: of their shape, or of its last axes.

    Raises:
        SinogramError: readings and description do not fit.
        GeometryError: a scan that cannot be.
    """
    is_volume = described.geometry.type in VOLUME_BEAMS
    bad = np.zeros(readings.values.shape, bool) if mask is None else _of_shape(mask, readings.values.shape)
    first = "row" if is_volume else "slice"
    values, flat, dark, after, bad = _ordered(readings, bad, described, first)
    for key, field in {"i0": flat, "dark": dark}.items():
        if field is not None and getattr(described, key) is not None:
            raise SinogramError(f"{key} is given, and so are fields of each bin; leave {key} out")
    n_rows, _, n_detectors = values.shape
    geometry = described.geometry.geometry(n_rows, n_detectors)
    _check_counts(described.geometry, geometry, values.shape)
    if "angle_direction" not in described.geometry.model_fields_set:
        on_note("angles are taken to run counterclockwise in the image; if not, add angle_direction: clockwise")
    described.geometry.check_unit()
    stated = described.photons if isinstance(described.photons, float) else None
    n_all = geometry.n_views
    values, bad, geometry, kept = _without_bad_views(values, bad, geometry, described, on_note)
    when = kept / max(1, n_all - 1)
    values = to_line_integrals(
        values,
        described.quantity,
        flat=described.i0 if flat is None else _over_time(flat, after, when),
        dark=described.dark if dark is None else dark,
        photons=stated,
        bad=bad,
        on_note=on_note,
    )
    if bad.any():
        on_note(f"{np.count_nonzero(bad)} of {bad.size} rays ({bad.mean():.2%}) are not known: they weigh nothing")
        values = filled(values, bad)
    odd = {} if described.cleaning & {"rings", "bad-bins"} else suspicious_bins(values, bad=bad)
    if odd:
        shown = ", ".join(f"{k} ({what})" for k, what in list(odd.items())[:8])
        on_note(
            f"{len(odd)} bins look dead or unsteady: {shown}; to leave them out use --clean bad-bins, or add bad_bins: "
            f"{list(odd)[:50]}; where they make rings, --clean rings"
        )
    grid = _stated_grid(described) or _default_grid(geometry, values, described.mu_water_per_mm, on_note)
    step_mm = grid.steps_mm[0] if grid.is_volume else _slice_step_mm(described, n_rows, on_note)
    geometry.check_outside(grid)
    sinogram = Sinogram(
        values=values,
        geometry=geometry,
        grid=grid,
        affine=_affine(grid, step_mm),
        photons=_photons(described, values, on_note),
        electronic_noise=described.electronic_noise,
        mu_water_per_mm=described.mu_water_per_mm,
        origin=described.origin or f"measured; imported from {readings.format}",
        bad_rays=bad if bad.any() else None,
    )
    return cleaned(sinogram, described.cleaning, on_note=on_note)


def _of_shape(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    squeezed = mask.reshape([n for n in mask.shape if n > 1] or [1])
    for found in (mask, squeezed):
        if found.ndim <= len(shape) and found.shape == shape[len(shape) - found.ndim :]:
            return np.broadcast_to(found, shape).copy()
    raise SinogramError(f"the mask has shape {mask.shape}; expected that of the readings, {shape}, or of one bin each")


def _without_bad_views(
    values: NDArray[np.float32], bad: NDArray[np.bool_], geometry: Geometry, described: Description, on_note: Note
) -> tuple[NDArray[np.float32], NDArray[np.bool_], Geometry, NDArray[np.intp]]:
    """Bad bins marked; bad views, and those of which nothing is known, left out; and which views are kept."""
    said = {"bad_bins": (described.named_bins, geometry.n_detectors)}
    said["bad_views"] = described.bad_views or [], geometry.n_views
    for key, (named, n) in said.items():
        beyond = [k for k in named if k >= n]
        if beyond:
            raise SinogramError(f"{key} names {beyond[0]}; expected 0 to {n - 1}")
    bad[:, :, described.named_bins] = True
    bad |= np.isnan(values)
    lost: NDArray[np.bool_] = np.all(bad, axis=(0, 2))
    lost[described.bad_views or []] = True
    if lost.all():
        raise SinogramError("no reading is known: all are NaN, masked or bad; expected numbers")
    kept = np.flatnonzero(~lost)
    if lost.any():
        on_note(f"{np.count_nonzero(lost)} of {len(lost)} views are left out: bad, masked or NaN throughout")
        values, bad = values[:, kept], bad[:, kept]
        geometry = geometry.with_views(kept)
    return values, bad, geometry, kept


def _over_time(
    flat: NDArray[np.floating], after: NDArray[np.floating] | None, when: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Of each view from before the scan (0) to after it (1), linear in time as far as views come evenly."""
    if after is None:
        return flat
    share = when[None, :, None]
    return (1 - share) * flat + share * after


def _ordered(
    readings: Readings, bad: NDArray[np.bool_], described: Description, first: str
) -> tuple[
    NDArray[np.float32],
    NDArray[np.floating] | None,
    NDArray[np.floating] | None,
    NDArray[np.floating] | None,
    NDArray[np.bool_],
]:
    """The readings ``[slice or row, view, detector]``, `FIELDS` likewise with one view, and bad rays."""
    names, values = [name.strip() for name in described.axes.split(",")], readings.values
    while values.ndim > len(names) and 1 in values.shape:  # the one page, or the one line of each, of a TIFF file
        lone = values.shape.index(1)
        values, bad = values.squeeze(lone), bad.squeeze(lone)
    needed = {"view", "detector"} | ({first} - {"slice"})  # one slice may go without its axis
    if not needed <= set(names) <= needed | {first} or not len(set(names)) == len(names) == values.ndim:
        raise SinogramError(
            f'axes is "{described.axes}" for an array of shape {values.shape}; expected each of its axes once, out of '
            f"{first}, view and detector"
        )

    def order(array: NDArray[Any], present: list[str]) -> NDArray[Any]:
        missing = [name for name in (first, "view", "detector") if name not in present]
        extended = array.reshape((1,) * len(missing) + array.shape)
        return extended.transpose([(missing + present).index(name) for name in (first, "view", "detector")])

    fields = []
    stored = {"flat": readings.flat, "dark": readings.dark, "flat (after)": readings.flat_after}
    for what, field in stored.items():
        rest = [name for name in names if name != "view"]
        if field is not None and field.ndim == len(rest) + 1:  # repeated exposures
            field = field.mean(axis=0)
        while field is not None and field.ndim > len(rest) and 1 in field.shape:
            field = field.squeeze(field.shape.index(1))
        if field is not None and field.shape != tuple(values.shape[names.index(name)] for name in rest):
            raise SinogramError(f"the {what} field has shape {field.shape}; expected that of one view, {rest}")
        fields.append(None if field is None else order(field, rest))
    return (
        np.ascontiguousarray(order(values, names)),
        fields[0],
        fields[1],
        fields[2],
        np.ascontiguousarray(order(bad, names)),
    )


def _check_counts(stated: Any, geometry: Geometry, shape: tuple[int, ...]) -> None:
    found = {"n_detector_rows": shape[0], "angles_deg": shape[1], "n_detectors": shape[2]}
    expected = {name: getattr(stated, name, None) for name in ("n_detectors", "n_detector_rows")}
    for name, number in (expected | {"angles_deg": geometry.n_views}).items():
        if number is not None and number != found[name]:
            raise SinogramError(
                f"geometry.{name} says {number}, but the array has {found[name]} along that axis; correct one of them"
            )


def _stated_grid(described: Description) -> Grid | None:
    image = described.image
    if image is None:
        return None
    centre = tuple(image.centre_mm or ())
    if described.geometry.type not in VOLUME_BEAMS:
        if image.slices is not None or image.slice_step_mm is not None or len(centre) == 3:
            raise SinogramError(
                "image.slices and image.slice_step_mm are for cone beams; use slice_step_mm for a stack"
            )
        return ImageGrid((image.rows, image.columns), image.pixel_size_mm, centre_mm=centre or (0.0, 0.0))  # type: ignore[arg-type]
    if image.slices is None or image.slice_step_mm is None or len(centre) == 2:
        raise SinogramError("a cone beam's image lacks slices, slice_step_mm or the z of centre_mm; add them")
    shape = (image.slices, image.rows, image.columns)
    return VolumeGrid(shape, image.pixel_size_mm, image.slice_step_mm, centre or (0.0, 0.0, 0.0))  # type: ignore[arg-type]


def _default_grid(geometry: Geometry, values: NDArray[np.float32], mu_water_per_mm: float, on_note: Note) -> Grid:
    """Square pixels about as wide as a bin at the axis, over the circle that the detector sees.

    Over all of the object, where that is wider: a fit of the data has to put somewhere what its rays went through. The
    sides are multiples of 32, as learned priors need them; the field of view stays, and pixels become smaller for it.
    """
    pixel, width = geometry.detector_pitch_mm / geometry.magnification, geometry.n_detectors
    edges = replace(geometry, n_detectors=2, detector_pitch_mm=width * geometry.detector_pitch_mm)
    seen = float(np.abs(edges.from_axis_mm).max())
    radius = max(seen, min(_reach_mm(geometry, values, mu_water_per_mm), _MOST_WIDER * seen))
    lengths = geometry.lengths_mm
    if "source_to_axis_mm" in lengths:
        source_mm = math.hypot(lengths["source_to_axis_mm"], lengths["axis_offset_mm"])
        radius = max(seen, min(radius, 0.7 * (source_mm - pixel)))
    if radius > 1.02 * seen:
        on_note(
            f"the object reaches beyond the detector, to about {radius:.4g} mm from the axis: the image covers it, and "
            f"is right within {seen:.4g} mm at best"
        )
    side = math.ceil(2 * radius / pixel - 1e-6)
    if side >= 2 * _WHOLE:  # smaller ones are no images that a prior knows
        side = _WHOLE * math.ceil(side / _WHOLE)
        pixel = 2 * radius / side
    if side > MAX_SIDE:
        raise SinogramError(f"the detector sees {side} pixels of {pixel:.4g} mm; add image, a smaller grid")
    if not geometry.is_volume:
        on_note(f"no image grid is given: {side} x {side} pixels of {pixel:.4g} mm, the detector's field of view")
        return ImageGrid((side, side), pixel)
    step = lengths["detector_row_pitch_mm"] / geometry.magnification
    slices = geometry.view_shape[0]
    on_note(
        f"no image grid is given: {slices} x {side} x {side} voxels of {step:.4g} x {pixel:.4g} x {pixel:.4g} mm, the "
        "detector's field of view at the axis"
    )
    centre = lengths["detector_row_offset_mm"] / geometry.magnification
    return VolumeGrid((slices, side, side), pixel, step, (0.0, 0.0, centre))


def _reach_mm(geometry: Geometry, values: NDArray[np.float32], mu_water_per_mm: float) -> float:
    if values.shape[2] < 16:
        return 0.0
    n = max(4, values.shape[2] // 32)
    edges = np.maximum(values[..., :n].mean(-1), values[..., -n:].mean(-1))
    if edges.max() <= EDGE_AIR_SHARE * np.abs(values).max():  # no view is cut off
        return 0.0
    import torch

    from ctresample.solvers.truncation import reach_mm

    some = values[:: max(1, len(values) // 16)]
    return reach_mm(torch.from_numpy(some[None, None]), geometry, mu_water_per_mm)


def _slice_step_mm(described: Description, n_slices: int, on_note: Note) -> float:
    if described.slice_step_mm is not None:
        return described.slice_step_mm
    if n_slices > 1:
        raise SinogramError(f"there are {n_slices} slices, at an unknown distance; add slice_step_mm")
    on_note("the thickness of the one slice is not given: 1 mm; add slice_step_mm")
    return 1.0


def _affine(grid: Grid, step_mm: float) -> NDArray[np.float64]:
    """To LPS: columns to the right (x), rows down (y), slices up (z); the rotation axis is at x = y = 0."""
    y, x = grid.axes_mm[-2:]
    affine = np.diag([grid.steps_mm[-1], -grid.steps_mm[-2], step_mm, 1.0])
    affine[:3, 3] = x[0], -y[0], grid.axes_mm[0][0] if grid.is_volume else 0.0
    return affine


def _photons(described: Description, values: NDArray[np.float32], on_note: Note) -> float | None:
    if described.photons is None and "photons" not in described.model_fields_set:
        on_note("the number of photons is not given: the values count as free of noise; add photons")
    if described.photons != "estimate":
        return described.photons
    photons = estimate_photons(values)
    on_note(f"photons estimated from the noise: {photons:,.3g} a ray")
    return photons
