"""HDF5 files of other programs: LoDoPaB-CT, DXchange and NXtomo."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.hdf5_checks import child, dataset, open_hdf5
from ctresample.data_tools.importers import lodopab
from ctresample.data_tools.importers.matlab import is_mat73, read_mat73
from ctresample.data_tools.importers.readings import Facts, Note, Readings
from ctresample.data_tools.plain_text import one_line
from ctresample.data_tools.sinogram_file import OWN
from ctresample.errors import SinogramError

_MM = {"m": 1e3, "cm": 10.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "nm": 1e-6}
_DEGREES = {"deg": 1.0, "degree": 1.0, "degrees": 1.0, "rad": math.degrees(1), "radian": math.degrees(1)}
_DEGREES["radians"] = _DEGREES["rad"]
_MAX_GROUPS = 1000
_PROJECTION, _FLAT, _DARK = 0, 1, 2  # image_key of NXtomo


def read_hdf5(path: Path, preset: str | None, beam: str, on_note: Note) -> Readings:
    """Whatever sinogram the file holds.

    Args:
        path: the file.
        preset: "lodopab" for what says nothing about itself.
        beam: "parallel", "fan" or "cone", as the sidecar has it: what sizes and axes mean depends on it.
        on_note: told what was assumed or left out.

    Raises:
        SinogramError: none of the known formats, incomplete, damaged or made to do harm.
    """
    with open_hdf5(path) as file:
        if child(file, OWN, path) is not None:
            raise SinogramError(f"{path} is a ctresample sinogram already; there is nothing to import")
        if preset == "lodopab":
            return lodopab.read(file, path)
        if is_mat73(file, path):
            return read_mat73(file, path)
        if child(file, "/exchange/data", path) is not None:
            return _dxchange(file, path, beam, on_note)
        detector = _nxtomo_detector(file, path)
        if detector:
            return _nxtomo(file, detector, path, beam, on_note)
        hint = "; is it LoDoPaB-CT? add --preset lodopab" if child(file, "/data", path) is not None else ""
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
    white, dark = (dataset(file, f"/exchange/data_{name}", path, ndim=3, kind="real") for name in ("white", "dark"))
    if white is not None:
        facts["quantity"] = "counts"
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


def _nxtomo(file: h5py.File, entry: str, path: Path, beam: str, on_note: Note) -> Readings:
    """Frames of all kinds in one stack ``[frame, row, column]``, told apart by ``image_key`` (NeXus definition NXtomo).

    Pixel sizes and distances count where they name their unit; the kind of beam is never stated.
    """
    detector = f"{entry}/instrument/detector"
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
    row_mm = _length(file, f"{detector}/y_pixel_size", path)
    source, beyond = (_length(file, f"{place}/distance", path) for place in (f"{entry}/instrument/source", detector))
    geometry["detector_pitch_mm"] = _length(file, f"{detector}/x_pixel_size", path)
    if beam == "cone":
        geometry["detector_row_pitch_mm"] = row_mm
    if beam != "parallel" and source is not None and beyond is not None:
        geometry["source_to_axis_mm"] = abs(source)
        geometry["source_to_detector_mm"] = abs(source) + beyond
    facts: Facts = {
        "axes": _axes(beam),
        "geometry": {key: value for key, value in geometry.items() if value is not None},
    }
    if beam == "parallel":  # whose rows are as far apart at the axis as at the detector
        facts["slice_step_mm"] = row_mm
    if len(flats):
        facts["quantity"] = "counts"
    return Readings(
        "NXtomo (HDF5)",
        _whole(frames, views),
        {key: value for key, value in facts.items() if value is not None},
        _mean(frames, flats) if len(flats) else None,
        _mean(frames, darks) if len(darks) else None,
    )


def _axes(beam: str) -> str:
    return "view,row,detector" if beam == "cone" else "view,slice,detector"


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
