"""HDF5 files of other programs: LoDoPaB-CT, DXchange and NXtomo."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ctresample.choices import VOLUME_BEAMS
from ctresample.data_tools.importers import lodopab
from ctresample.data_tools.importers.matlab import is_mat73, read_mat73
from ctresample.data_tools.importers.readings import Facts, Note, Readings
from ctresample.data_tools.plain_text import one_line
from ctresample.data_tools.sinogram.hdf5_checks import child, dataset, open_hdf5
from ctresample.data_tools.sinogram.layout import OWN
from ctresample.errors import SinogramError

_MM = {"m": 1e3, "cm": 10.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "nm": 1e-6}
_DEGREES = {"deg": 1.0, "degree": 1.0, "degrees": 1.0, "rad": math.degrees(1), "radian": math.degrees(1)}
_DEGREES |= {"radians": _DEGREES["rad"], "deg.": 1.0, "°": 1.0, "º": 1.0, "arcdeg": 1.0, "angle_deg": 1.0}
_DEGREES |= {"rads": _DEGREES["rad"], "mrad": _DEGREES["rad"] / 1e3, "turn": 360.0, "turns": 360.0, "rev": 360.0}
_KNOWN = {"image_key_control", "type", "description", "local_name", "name", "sample_description", "depends_on"}
_TRANSLATIONS = ("x_translation", "y_translation", "z_translation")
_MAX_GROUPS = 1000
_PROJECTION, _FLAT, _DARK = 0, 1, 2  # image_key of NXtomo


def read_hdf5(path: Path, preset: str | None, scan: Facts, on_note: Note) -> Readings:
    """Whatever sinogram the file holds.

    Args:
        path: the file.
        preset: "lodopab" for what says nothing about itself.
        scan: ``geometry`` of the sidecar: what sizes and axes mean depends on its type.
        on_note: told what was assumed or left out.

    Raises:
        SinogramError: none of the known formats, incomplete, damaged or made to do harm.
    """
    beam = str(scan.get("type"))
    with open_hdf5(path) as file:
        if child(file, OWN, path) is not None:
            raise SinogramError(f"{path} is a ctresample sinogram already; there is nothing to import")
        if preset == "lodopab":
            return lodopab.read(file, path)
        if is_mat73(file, path):
            return read_mat73(file, path, on_note)
        if child(file, "/exchange/data", path) is not None:
            return _dxchange(file, path, beam, on_note)
        detector = _nxtomo_detector(file, path)
        if detector:
            return _nxtomo(file, detector, path, scan, on_note)
        hint = "; is it LoDoPaB-CT? then import --preset lodopab" if child(file, "/data", path) is not None else ""
    raise SinogramError(f"{path} is HDF5, but neither DXchange, NXtomo nor a Helsinki file{hint}; or save it as NPY")


# ---------------------------------------------------------------- DXchange


def _dxchange(file: h5py.File, path: Path, beam: str, on_note: Note) -> Readings:
    """Frames ``[view, row, column]``, flat fields ``data_white`` and dark fields ``data_dark``, ``theta`` in degrees.

    De Carlo et al., "Scientific data exchange: a schema for HDF5-based storage of raw and analyzed data", Journal of
    Synchrotron Radiation 21(6), 2014.
    """
    facts: Facts = {"axes": _axes(beam), "geometry": {}}
    theta = dataset(file, "/exchange/theta", path, ndim=1, kind="real")
    if theta is not None:
        unit = _unit(theta)
        if not unit:
            on_note("theta names no unit: in degrees, as DXchange defines it")
        facts["geometry"]["angles_deg"] = _scaled(theta, _DEGREES, unit or "degrees", path)
        if unit:
            facts["geometry"]["angle_unit"] = "deg"
    white, dark = (dataset(file, f"/exchange/data_{name}", path, ndim=3, kind="real") for name in ("white", "dark"))
    if white is not None:
        facts["quantity"] = "counts"
    _tell_unused(file, "/exchange", {"data", "data_white", "data_dark", "theta"}, on_note)
    return Readings(
        "DXchange (HDF5)",
        _whole(dataset(file, "/exchange/data", path, ndim=3, kind="real")),
        facts,
        None if white is None else _mean(white, range(len(white))),
        None if dark is None else _mean(dark, range(len(dark))),
    )


# ---------------------------------------------------------------- NXtomo


def _nxtomo_detector(file: h5py.File, path: Path) -> str:
    """The group with frames and their keys, at most two groups deep as files of beamlines have it; "" if none."""
    groups = [
        file[name] for name in list(file)[:_MAX_GROUPS] if isinstance(file.get(name, getlink=True), h5py.HardLink)
    ]
    for entry in groups:
        if not isinstance(entry, h5py.Group):
            continue
        for prefix in ("", *(f"/{name}" for name in list(entry)[:_MAX_GROUPS])):
            place = f"{entry.name}{prefix}"
            if child(file, f"{place}/instrument/detector/image_key", path) is not None:
                return place
    return ""


def _nxtomo(file: h5py.File, entry: str, path: Path, scan: Facts, on_note: Note) -> Readings:
    """Frames of all kinds in one stack ``[frame, row, column]``, told apart by ``image_key`` (NeXus definition NXtomo).

    Pixel sizes and distances count where they name their unit; the kind of beam is never stated.
    """
    detector, beam = f"{entry}/instrument/detector", str(scan.get("type"))
    frames = dataset(file, f"{detector}/data", path, ndim=3, kind="real")
    keys = dataset(file, f"{detector}/image_key", path, ndim=1, kind="integer")
    angles = dataset(file, f"{entry}/sample/rotation_angle", path, ndim=1, kind="real")
    if frames is None or keys is None or keys.shape != frames.shape[:1]:
        raise SinogramError(f"{path}: {detector} lacks data with an image_key for each frame; make the file again")
    kinds = keys[()]
    views, flats, darks = (np.flatnonzero(kinds == kind) for kind in (_PROJECTION, _FLAT, _DARK))
    if not len(views):
        raise SinogramError(f"{path}: no frame in {detector}/image_key is a projection (0); make the file again")
    left_out = len(kinds) - len(views) - len(flats) - len(darks)
    if left_out:
        on_note(f"{left_out} frames that image_key marks as invalid were left out")
    geometry: Facts = {}
    if angles is not None and angles.shape == frames.shape[:1] and _unit(angles):
        degrees = _scaled(angles, _DEGREES, _unit(angles), path)
        geometry["angles_deg"] = [degrees[view] for view in views]
        geometry["angle_unit"] = "deg"
    row_mm = _length(file, f"{detector}/y_pixel_size", path)
    source, beyond = (_length(file, f"{place}/distance", path) for place in (f"{entry}/instrument/source", detector))
    geometry["detector_pitch_mm"] = _length(file, f"{detector}/x_pixel_size", path)
    if beam in VOLUME_BEAMS:
        geometry["detector_row_pitch_mm"] = row_mm
    if beam != "parallel" and source is not None and beyond is not None:
        geometry["source_to_axis_mm"] = abs(source)
        geometry["source_to_detector_mm"] = abs(source) + beyond
    geometry |= _axis_position(file, detector, frames.shape[2], scan, path, on_note)
    _tell_movements(file, entry, views, path, on_note)
    used = {"data", "image_key", "x_pixel_size", "y_pixel_size", "distance", "field_of_view", "count_time"}
    used |= {"x_rotation_axis_pixel_position", "x_flipped", "y_flipped", "transformations"}
    _tell_unused(file, detector, used, on_note)
    _tell_unused(file, f"{entry}/sample", {"rotation_angle", *_TRANSLATIONS}, on_note)
    facts: Facts = {
        "axes": _axes(beam),
        "geometry": {key: value for key, value in geometry.items() if value is not None},
    }
    if beam == "parallel":  # whose rows are as far apart at the axis as at the detector
        facts["slice_step_mm"] = row_mm
    if len(flats):
        facts["quantity"] = "counts"
    values, dark = _whole(frames, views), _mean(frames, darks) if len(darks) else None
    flat = after = None
    if len(flats):
        strength = _strength(file, entry, detector, len(kinds), path, on_note)
        base = 0.0 if dark is None else dark
        # everything as at the open beam's mean strength; the dark signal does not follow it
        scale = np.ones(len(kinds)) if strength is None else strength[flats].mean() / strength

        def open_beam(chosen: NDArray[np.integer]) -> NDArray[np.float64]:
            if strength is None:
                return _mean(frames, chosen)
            return np.mean([base + (frames[k] - base) * scale[k] for k in chosen], axis=0)

        first, last = flats[flats < views[0]], flats[flats > views[-1]]
        if len(first) and len(last) and len(first) + len(last) == len(flats):
            flat, after = open_beam(first), open_beam(last)
            on_note(f"{len(first)} flat fields before the views and {len(last)} after: interpolated in time")
        else:
            flat = open_beam(flats)
        if strength is not None:
            for value, k in zip(values, views, strict=True):
                value[...] = base + (value - base) * scale[k]
    return Readings(
        "NXtomo (HDF5)",
        values,
        {key: value for key, value in facts.items() if value is not None},
        flat,
        dark,
        after,
    )


def _axis_position(file: h5py.File, detector: str, n: int, scan: Facts, path: Path, on_note: Note) -> Facts:
    """``rotation_axis_bin``, where the file has it: counted from the middle, or as some writers do from bin 0."""
    half = _text(file, f"{detector}/field_of_view", path).lower() == "half"
    stored = _number(file, f"{detector}/x_rotation_axis_pixel_position", path)
    for name in ("x_flipped", "y_flipped"):
        if _number(file, f"{detector}/{name}", path):
            on_note(f"{name} says that frames are mirrored, and is not applied: if the image is, use angle_direction")
    stated = {"rotation_axis_bin", "detector_offset_mm", "axis_offset_mm"} & scan.keys()
    if stored is None:
        if half and not stated:
            raise SinogramError(
                f"{path}: field_of_view is Half, so the rotation axis is off the middle, but the file does not say "
                "where; add geometry.rotation_axis_bin"
            )
        return {}
    middle = (n - 1) / 2
    from_middle, from_zero = middle + stored, stored
    inside = [place for place in (from_middle, from_zero) if 0 <= place <= n - 1]
    if not inside:
        raise SinogramError(
            f"{path}: the rotation axis is said to be at pixel {stored:g} of {n}; expected one on the detector; add "
            "geometry.rotation_axis_bin"
        )
    # in a full field of view the axis is near the middle; NXtomo counts from there
    place = inside[0] if half else min(inside, key=lambda bin_: abs(bin_ - middle))
    origin = "the middle of the detector" if place == from_middle else "bin 0"
    if not stated:
        shifted = (
            ""
            if scan.get("type") == "parallel"
            else ("; taken for a shift of the detector: if the axis itself is out of line, add geometry.axis_offset_mm")
        )
        counted = f"pixel {stored:g} in the file, counted from {origin}"
        on_note(f"the rotation axis is at bin {place:g} of {n}: {counted}{shifted}")
    return {} if stated else {"rotation_axis_bin": place}


def _strength(
    file: h5py.File, entry: str, detector: str, n: int, path: Path, on_note: Note
) -> NDArray[np.float64] | None:
    """How strong the beam was at each frame: its current times the exposure; None where neither changes."""
    found = np.ones(n)
    for name, what in ((f"{entry}/control/data", "beam current"), (f"{detector}/count_time", "exposure time")):
        stored = child(file, name, path)
        if not isinstance(stored, h5py.Dataset) or stored.shape != (n,):
            continue
        values = dataset(file, name, path, ndim=1, kind="real")
        numbers = np.ones(n) if values is None else np.asarray(values[()], np.float64)
        if not (np.isfinite(numbers).all() and (numbers > 0).all()):
            on_note(f"the {what} of some frames is not above 0: not applied")
        elif np.ptp(numbers) > 1e-6 * numbers.mean():
            on_note(f"frames are scaled by the {what}, which changes by {np.ptp(numbers) / numbers.mean():.1%}")
            found *= numbers
    return None if np.ptp(found) == 0 else found


def _tell_movements(file: h5py.File, entry: str, views: NDArray[np.integer], path: Path, on_note: Note) -> None:
    for name in _TRANSLATIONS:
        stored = child(file, f"{entry}/sample/{name}", path)
        if not isinstance(stored, h5py.Dataset) or stored.ndim != 1 or len(stored) <= views.max():
            continue
        values = dataset(file, f"{entry}/sample/{name}", path, ndim=1, kind="real")
        if values is not None and np.ptp(places := np.asarray(values[()], np.float64)[views]) > 1e-9:
            on_note(
                f"{name} moves the sample by {np.ptp(places):.4g} {_unit(values)} from view to view, which is not "
                "applied: the image is blurred unless that is far less than a pixel"
            )


def _tell_unused(file: h5py.File, group: str, used: set[str], on_note: Note) -> None:
    """Numbers in a group that nothing here has a use for may matter: name them."""
    here = file.get(group)
    if isinstance(here, h5py.Group):
        unused = sorted(set(list(here)[:_MAX_GROUPS]) - used - _KNOWN)
        if unused:
            more = f" and {len(unused) - 8} more" if len(unused) > 8 else ""
            on_note(f"not used of {one_line(group, 60)}: {one_line(', '.join(unused[:8]), 200)}{more}")


def _text(file: h5py.File, name: str, path: Path) -> str:
    found = child(file, name, path)
    stored = dataset(file, name, path, ndim=0, kind="text") if isinstance(found, h5py.Dataset) else None
    return "" if stored is None else stored.asstr("utf-8", "replace")[()].strip()


def _number(file: h5py.File, name: str, path: Path) -> float | None:
    found = child(file, name, path)
    if not isinstance(found, h5py.Dataset) or found.size != 1 or found.dtype.kind not in "iufb":
        return None
    if found.dtype.kind == "b":
        return float(found[()])
    stored = dataset(file, name, path, ndim=found.ndim, kind="real")
    return None if stored is None else float(np.ravel(stored[()])[0])


def _axes(beam: str) -> str:
    return "view,row,detector" if beam in VOLUME_BEAMS else "view,slice,detector"


def _length(file: h5py.File, name: str, path: Path) -> float | None:
    """In mm, where the number is there and names its unit."""
    found = child(file, name, path)
    found = dataset(file, name, path, ndim=found.ndim, kind="real") if isinstance(found, h5py.Dataset) else None
    if found is None or found.size != 1 or not _unit(found):
        return None
    return float(_scaled(found, _MM, _unit(found), path)[0])


def _unit(found: h5py.Dataset) -> str:
    unit: Any = found.attrs.get("units", found.attrs.get("unit", ""))
    if isinstance(unit, bytes):
        unit = unit.decode("utf-8", "replace")
    return unit.strip() if isinstance(unit, str) else ""


def _scaled(found: h5py.Dataset, units: dict[str, float], unit: str, path: Path) -> list[float]:
    factor = units.get(unit if unit in units else unit.lower())
    if factor is None:
        raise SinogramError(
            f"{path}: {found.name} is in {one_line(repr(unit), 40)}; expected one of {', '.join(units)}"
        )
    return [factor * float(value) for value in np.ravel(found[()])]


def _whole(stored: h5py.Dataset | None, frames: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
    """All frames, or some, a frame at a time: a copy of all in the file's own type might be several times as large."""
    assert stored is not None  # noqa: S101 - for mypy: the caller has found it
    wanted = range(len(stored)) if frames is None else frames
    values = np.empty((len(wanted), *stored.shape[1:]), np.float32)
    if frames is None or len(frames) == len(stored):
        stored.read_direct(values)
        return values
    for target, frame in zip(values, wanted, strict=True):
        target[...] = stored[frame]
    return values


def _mean(stored: h5py.Dataset, frames: range | NDArray[np.integer]) -> NDArray[np.float64]:
    total = np.zeros(stored.shape[1:])
    for frame in frames:
        total += stored[frame]
    return total / len(frames)
