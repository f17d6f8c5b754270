"""Nikon (X-Tek) cone-beam scans: a file .xtekct of settings beside the projections as TIFF files."""

from __future__ import annotations

import configparser
import math
from pathlib import Path
from typing import Any

import numpy as np

from ctresample.data_tools.importers.readings import Note, Readings
from ctresample.data_tools.importers.tiff import read_single_pages
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import SinogramError

_SECTION, _MOST_BYTES = "XTekCT", 2**20
_ANGLES = "_ctdata.txt"


def read_xtekct(path: Path, on_note: Note) -> Readings:
    """The projections and geometry of a scan; lengths in mm, as the maker writes them.

    Rows of the pictures run down, those of the geometry up. Views turn by ``AngularStep`` degrees from
    ``InitialAngle``; a file of measured angles is refused, for this reader knows only even ones.

    Raises:
        SinogramError: settings that are missing or no numbers, named; or other pictures than they say.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SinogramError(f"{path} is larger than 1 MiB; expected the settings of a scan")
        settings = configparser.ConfigParser(interpolation=None)
        settings.read_string(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise SinogramError(f"{path} cannot be read ({error.strerror})") from error
    except configparser.DuplicateOptionError as error:
        raise SinogramError(f"{path} says {one_line(error.option, 30)} twice; leave one of them in") from error
    except configparser.Error as error:
        raise SinogramError(f"{path} is no settings file ({one_line(str(error), 80)})") from error
    found = settings[_SECTION] if settings.has_section(_SECTION) else {}

    def number(key: str, least: float = -math.inf) -> float:
        try:
            value = float(found[key])
        except KeyError:
            raise SinogramError(f"{path} has no {key} in [{_SECTION}]; export the scan again") from None
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= least):
            raise SinogramError(f"{path}: {key} is {one_line(str(found[key]), 30)!r}; expected a number")
        return value

    n_views, columns, rows = (int(number(key, 1)) for key in ("Projections", "DetectorPixelsX", "DetectorPixelsY"))
    name = found.get("Name", path.stem)
    files = sorted(
        one
        for one in path.parent.iterdir()
        if one.suffix.lower() in (".tif", ".tiff") and one.stem.rpartition("_")[0] == name and _last(one).isdecimal()
    )
    files.sort(key=lambda one: int(_last(one)))
    if len(files) != n_views:
        raise SinogramError(
            f"{path} has {n_views} Projections, and {len(files)} files {one_line(name, 40)}_NUMBER.tif lie beside it; "
            "copy all of them"
        )
    values = read_single_pages(files)
    if values.shape[1:] != (rows, columns):
        raise SinogramError(
            f"{path}: the pictures have {values.shape[1]} x {values.shape[2]} pixels; expected {rows} x {columns} "
            "(DetectorPixelsY, DetectorPixelsX)"
        )
    step, white = number("AngularStep"), number("WhiteLevel", 1)
    if abs(step) < 1e-6:
        raise SinogramError(f"{path}: AngularStep is {step:g}; expected degrees from view to view")
    if (path.parent / _ANGLES).is_file():
        on_note(f"{_ANGLES} with measured angles lies beside the scan, and is not used: AngularStep is")
    for key in ("ObjectTilt", "ObjectRoll", "DetectorOffsetX", "DetectorOffsetY", "CentreOfRotationTop"):
        if key in found and abs(number(key)) > 1e-9:
            on_note(f"{key} is {number(key):g} and not used; `ctresample align` finds the axis")
    geometry: dict[str, Any] = {
        "type": "cone",
        "angles_deg": (number("InitialAngle") + step * np.arange(n_views)).tolist(),
        "source_to_axis_mm": number("SrcToObject", 1e-6),
        "source_to_detector_mm": number("SrcToDetector", 1e-6),
        "detector_pitch_mm": number("DetectorPixelSizeX", 1e-9),
        "detector_row_pitch_mm": number("DetectorPixelSizeY", 1e-9),
    }
    facts = {"quantity": "counts", "i0": white, "axes": "view,row,detector", "geometry": geometry}
    return Readings("Nikon XTekCT", np.ascontiguousarray(values[:, ::-1]), facts)


def _last(path: Path) -> str:
    return path.stem.rpartition("_")[2]
