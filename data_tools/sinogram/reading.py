"""Reading sinogram files, whose every claim is checked before it is believed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ctresample.data_tools.plain_text import one_line
from ctresample.data_tools.sinogram.hdf5_checks import child, dataset, open_hdf5
from ctresample.data_tools.sinogram.layout import KEYS, OWN
from ctresample.data_tools.sinogram.nxtomo import ANGLES, VALUES
from ctresample.data_tools.sinogram.schema import (
    SCHEMA_VERSION,
    SinogramModel,
    complaint,
    model_of,
)
from ctresample.errors import CTResampleError, GeometryError, SinogramError
from ctresample.geometry import Geometry
from ctresample.paths import StrPath, as_path
from ctresample.sinogram import Sinogram


@dataclass(frozen=True)
class SinogramSummary:
    """What a sinogram file declares, without its values.

    Attributes:
        model: geometry, noise, origin.
        version: of the schema.
        n_slices: how many the image will have.
        has_headers: whether DICOM headers, so patient data unless they were de-identified, are inside.
    """

    model: SinogramModel
    version: int
    n_slices: int
    has_headers: bool


def read_summary(path: StrPath) -> SinogramSummary:
    """Check all that a sinogram file declares, without reading the values; errors as :func:`read_sinogram`."""
    path = as_path(path, "path")
    with open_hdf5(path) as file:
        version, model = _read_model(file, path)
        n_slices = _n_slices(_values(file, model, path), model)
        _photons(file, model, path)
        return SinogramSummary(model, version, n_slices, _headers(file, n_slices, path) is not None)


def read_sinogram(path: StrPath, *, views: slice | None = None) -> Sinogram:
    """Read a sinogram file that `write_sinogram`, or another program to the same schema, wrote.

    Args:
        path: the file.
        views: neighbouring ones to read, such as ``slice(1000, 3000)`` of a long helix; by default all.

    Raises:
        SinogramError: not such a file, incomplete, damaged, of another schema version, declaring an absurd size,
            reaching into other files, or with values that are not finite.
    """
    path = as_path(path, "path")
    with open_hdf5(path) as file:
        _, model = _read_model(file, path)
        stored = _values(file, model, path)
        headers = _read_headers(file, _n_slices(stored, model), path)
        photons = _photons(file, model, path)
        offsets_mm, shifts_rad = (_by_slice(file, name, path) for name in ("slice_offsets_mm", "angle_shifts_rad"))
        n_views, n_rows, n_detectors = stored.shape
        first, stop, _ = (views or slice(None)).indices(n_views)
        bad = _bad_rays(file, stored.shape, slice(first, stop), path)
        values = np.empty((n_rows, stop - first, n_detectors), np.float32)
        # by the parts that HDF5 keeps together, or it would unpack each of them many times
        wanted = np.s_[first:stop, :, :]
        parts = stored.iter_chunks(wanted) if stored.chunks else (np.s_[k : k + 1, :, :] for k in range(first, stop))
        for part in parts:
            values.swapaxes(0, 1)[part[0].start - first : part[0].stop - first, *part[1:]] = stored[part]
    geometry = model.geometry()
    if views is not None:
        geometry = geometry.with_views(slice(first, stop))
        photons = photons[first:stop] if isinstance(photons, np.ndarray) else photons
    try:
        return Sinogram(
            values=values,
            geometry=geometry,
            grid=model.image_grid(),
            affine=model.affine,
            photons=photons,
            electronic_noise=model.electronic_noise,
            mu_water_per_mm=model.mu_water_per_mm,
            origin=model.origin,
            headers=headers,
            slice_offsets_mm=offsets_mm,
            angle_shifts_rad=shifts_rad,
            bad_rays=bad,
        )
    except CTResampleError as error:
        raise SinogramError(f"{path}: {error}") from error


def _read_model(file: h5py.File, path: Path) -> tuple[int, SinogramModel]:
    name = f"{OWN}/geometry"
    stored = dataset(file, name, path, ndim=0, kind="text")
    if stored is None:
        raise SinogramError(
            f"{path} has no {name}: units and geometry are never guessed; a file of another program becomes a "
            f"sinogram by `ctresample import {path.name} -o scan.h5`, which says what is missing, and CT images do by "
            "`ctresample simulate`"
        )
    version = _read_version(file, path)
    own = child(file, OWN, path)
    unknown = sorted(set(own or ()) - KEYS)
    if unknown:
        raise SinogramError(f"{path}: {OWN} holds {one_line(repr(unknown[0]), 60)}; expected only {sorted(KEYS)}")
    try:
        model = model_of(stored.asstr("utf-8")[()], version)
        geometry = model.geometry()
    except (ValidationError, GeometryError, UnicodeDecodeError) as error:
        what = complaint(error) if isinstance(error, ValidationError) else one_line(str(error))
        raise SinogramError(f"{path}: {name} cannot be used: {what}; correct it or make the file again") from error
    _check_angles(file, geometry, path)
    return version, model


def _check_angles(file: h5py.File, geometry: Geometry, path: Path) -> None:
    """Whoever edits the angles that other programs read must not find them ignored here."""
    stored = dataset(file, ANGLES, path, ndim=1, kind="floating")
    expected = np.degrees(geometry.angles_rad)
    if stored is not None and (stored.shape != expected.shape or not np.allclose(stored[()], expected, atol=1e-4)):
        raise SinogramError(
            f"{path}: {ANGLES} (degrees) differs from angles_rad in {OWN}/geometry; expected the same angles; "
            "correct one of them"
        )


def _read_version(file: h5py.File, path: Path) -> int:
    name = f"{OWN}/schema_version"
    stored = dataset(file, name, path, ndim=0, kind="integer")
    found = None if stored is None else int(stored[()])
    if found is None or not 1 <= found <= SCHEMA_VERSION:
        fix = "update ctresample" if found is not None and found > SCHEMA_VERSION else "make the file again"
        has = f"has no {name}" if found is None else f"has {name} {found}"
        raise SinogramError(f"{path} {has}; expected 1 to {SCHEMA_VERSION}; {fix}")
    return found


def _values(file: h5py.File, model: SinogramModel, path: Path) -> h5py.Dataset:
    stored = dataset(file, VALUES, path, ndim=3, kind="float32")
    geometry = model.geometry()
    n_rows = geometry.view_shape[0] if geometry.is_volume else None  # else any number of slices
    if stored is None or stored.shape != (geometry.n_views, n_rows or stored.shape[1], geometry.n_detectors):
        found = "is not there" if stored is None else f"has shape {stored.shape}"
        middle = f"{n_rows} detector rows" if n_rows else "slices"
        raise SinogramError(
            f"{path}: {VALUES} {found}; expected ({geometry.n_views} views, {middle}, {geometry.n_detectors} "
            f"detectors) as in {OWN}/geometry; make the file again"
        )
    return stored


def _n_slices(stored: h5py.Dataset, model: SinogramModel) -> int:
    """Of the image: a cone beam's frames have detector rows instead."""
    grid = model.image_grid()
    return grid.shape[0] if len(grid.shape) == 3 else stored.shape[1]


def _photons(file: h5py.File, model: SinogramModel, path: Path) -> NDArray[np.float32] | float | None:
    name = f"{OWN}/photons"
    stored = dataset(file, name, path, ndim=2, kind="float32")
    if (stored is None) == (model.photons == "array"):
        found, wanted = ("missing", "there") if stored is None else ("there", "missing")
        raise SinogramError(f"{path}: {name} is {found}, but {OWN}/geometry has it {wanted}; make the file again")
    if stored is None:
        return None if isinstance(model.photons, str) else model.photons
    photons: NDArray[np.float32] = stored[()]
    if not np.isfinite(photons).all():
        raise SinogramError(f"{path}: {name} holds NaN or infinite values; expected photons above 0")
    return photons


def _by_slice(file: h5py.File, name: str, path: Path) -> tuple[float, ...] | None:
    stored = dataset(file, f"{OWN}/{name}", path, ndim=1, kind="floating")
    return None if stored is None else tuple(stored[()].tolist())


def _bad_rays(file: h5py.File, shape: tuple[int, ...], views: slice, path: Path) -> NDArray[np.bool_] | None:
    stored = dataset(file, f"{OWN}/bad_rays", path, ndim=3, kind="uint8")
    if stored is not None and stored.shape != shape:
        raise SinogramError(f"{path}: {OWN}/bad_rays has shape {stored.shape}; expected that of the values, {shape}")
    return None if stored is None else stored[views].swapaxes(0, 1) != 0


def _headers(file: h5py.File, n_slices: int, path: Path) -> h5py.Dataset | None:
    stored = dataset(file, f"{OWN}/headers", path, ndim=1, kind="text")
    if stored is not None and stored.shape != (n_slices,):
        raise SinogramError(f"{path}: {OWN}/headers has shape {stored.shape}; expected one text for {n_slices} slices")
    return stored


def _read_headers(file: h5py.File, n_slices: int, path: Path) -> tuple[dict[str, Any], ...]:
    stored = _headers(file, n_slices, path)
    texts = () if stored is None else stored[()].tolist()
    headers = []
    for index, text in enumerate(texts):
        try:
            header = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict):  # no value is quoted: it may tell the patient
            raise SinogramError(f"{path}: {OWN}/headers, slice {index}, is no JSON object; make the file again")
        headers.append(header)
    return tuple(headers)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
