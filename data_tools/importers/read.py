"""One way in for all formats."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ctresample.choices import Cleaning
from ctresample.data_tools.importers.assemble import assemble
from ctresample.data_tools.importers.description import describe_readings
from ctresample.data_tools.importers.formats import FORMATS, Asked, format_of
from ctresample.data_tools.importers.readings import FIELDS, Facts, Note, Readings
from ctresample.data_tools.importers.rtk_geometry import SUFFIX, read_rtk_geometry
from ctresample.data_tools.importers.sidecar import find_sidecar, read_sidecar
from ctresample.data_tools.sinogram.plausibility import findings
from ctresample.errors import CTResampleError, SinogramError
from ctresample.paths import StrPath, as_path
from ctresample.sinogram import Sinogram

Preset = Literal["lodopab"]


def import_sinogram(
    path: StrPath,
    *,
    sidecar: StrPath | None = None,
    preset: Preset | None = None,
    mu_water_per_mm: float | None = None,
    mask: StrPath | None = None,
    clean: Collection[Cleaning] = (),
    on_note: Note = lambda message: None,
) -> Sinogram:
    """Read a sinogram in the format of another program.

    NPY, NPZ, a TIFF stack or EDF (file or folder), a folder of 2DeteCT, Nikon XTekCT, Helsinki challenge MAT,
    LoDoPaB-CT, DXchange or NXtomo. What the file does not say itself stands in a sidecar; see
    ``ctresample/docs/sinograms.md`` for its keys.

    Args:
        path: the file, or a folder of TIFF files.
        sidecar: JSON or YAML, or RTK's geometry XML, beside which a JSON or YAML file may stand; None to look beside
            the file.
        preset: "lodopab": the file is of LoDoPaB-CT, whose scan is published.
        mu_water_per_mm: attenuation of water that HU refer to, instead of the sidecar's.
        mask: an NPY or TIFF file, not 0 where readings are bad: for each bin, each ray of a view, or each reading.
        clean: what the detector got wrong, to be taken out, of `ctresample.choices.CLEANING`; the sidecar may add.
        on_note: told, in a line each, what was chosen, floored, left out or overridden.

    Raises:
        SinogramError: of no known format, damaged, made to do harm, or lacking units or geometry; the message says
            which key to add.
    """
    path = as_path(path, "path")
    sidecar = None if sidecar is None else as_path(sidecar, "sidecar")
    rtk: Facts = {}
    if (
        sidecar and sidecar.suffix.lower() == SUFFIX
    ):  # says the scan alone; the rest stands in a sidecar beside the file
        rtk, sidecar = read_rtk_geometry(sidecar), None
    sidecar = sidecar or find_sidecar(path)
    said = read_sidecar(sidecar) if sidecar else {}
    if mu_water_per_mm is not None:
        said = said | {"mu_water_per_mm": mu_water_per_mm}
    if clean:
        said = said | {"clean": [*clean, *(said["clean"] if isinstance(said.get("clean"), list) else [])]}
    readings = _read(path, preset, said, on_note)
    where = str(sidecar) if sidecar else f"a sidecar ({path.stem}.json or .yaml beside it, or --geometry)"
    facts = _together(
        _together(readings.facts, rtk, "RTK's geometry", on_note), said, str(sidecar or "the command line"), on_note
    )
    described = describe_readings(facts, str(path), where)
    try:
        sinogram = assemble(readings, described, on_note, None if mask is None else _mask(as_path(mask, "mask")))
        for doubt in findings(sinogram):
            on_note(f"doubtful: {doubt}")
        return sinogram
    except CTResampleError as error:
        raise SinogramError(f"{path}: {error}") from error
    except MemoryError as error:
        raise SinogramError(f"{path} does not fit into memory; use a machine with more, or fewer slices") from error


def _read(path: Path, preset: Preset | None, said: Facts, on_note: Note) -> Readings:
    kind = format_of(path)
    if kind is None:
        *others, last = (one.words for one in FORMATS)
        raise SinogramError(
            f"{path} is in no known format; expected {', '.join(others)} or {last}; pickles are never opened"
        )
    if preset and not kind.has_presets:
        raise SinogramError(f"{path} is no HDF5 file; preset {preset} is for the files of LoDoPaB-CT; leave it out")
    names = {key: said[key] for key in ("array", *FIELDS) if isinstance(said.get(key), str)}
    if names and not kind.has_names:
        raise SinogramError(f"{path} is no NPZ file, and {next(iter(names))} names an array of one; leave it out")
    scan = said.get("geometry")
    return kind.read(path, Asked(preset, names, scan if isinstance(scan, dict) else {}, on_note))


def _mask(path: Path) -> NDArray[np.bool_]:
    """Any reader of arrays will do; a mask has no description."""
    kind = format_of(path)
    if kind is None or kind.read_mask is None:
        raise SinogramError(f"{path} is no mask; expected an NPY or TIFF file that is not 0 where readings are bad")
    return kind.read_mask(path) != 0


def _together(file: Facts, said: Facts, sidecar: str, on_note: Note, place: str = "") -> Facts:
    """What both say; the sidecar has the last word, and that is told."""
    found: dict[str, Any] = dict(file)
    for key, value in said.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _together(found[key], value, sidecar, on_note, f"{place}{key}.")
        else:
            if key in found and found[key] != value:
                on_note(f"{place}{key} of {sidecar} replaces what the file itself says")
            found[key] = value
    return found
