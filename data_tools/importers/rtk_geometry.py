"""RTK's geometry files: XML with the place of source and panel at each projection of a cone-beam scan.

RTK turns about its y axis, with the source at ``(sin g, 0, cos g)`` times the distance at GantryAngle g; with x to
the right, its y as our z and its z as minus our y, g is our view angle.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ctresample.data_tools.importers.readings import Facts
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import SinogramError

SUFFIX = ".xml"
_ROOT, _MOST_BYTES, _MOST_VIEWS = "RTKThreeDCircularGeometry", 2**27, 100_000
_SAME = 1e-6
_SHARED = {
    "SourceToIsocenterDistance": None,
    "SourceToDetectorDistance": None,
    "SourceOffsetX": 0.0,
    "SourceOffsetY": 0.0,
    "ProjectionOffsetX": 0.0,
    "ProjectionOffsetY": 0.0,
    "OutOfPlaneAngle": 0.0,
    "InPlaneAngle": 0.0,
}
"""What may stand once for all projections or at each of them, and what it is where it is not said."""


def read_rtk_geometry(path: Path) -> Facts:
    """The scan as a sidecar's keys say it; pitches are in the projections' files, not here.

    Raises:
        SinogramError: no such XML, an element that is missing or no number, or a source that leaves its circle; the
            message names the element.
    """
    views = _views(path)
    found: dict[str, float] = {}
    for name, default in _SHARED.items():
        values = np.array([_number(path, view, name, default) for view in views])
        if np.ptp(values) > _SAME * max(1.0, float(np.abs(values).max())):
            raise SinogramError(
                f"{path}: {name} changes from {values.min():g} to {values.max():g}; expected one value, for a source "
                "on a circle and a panel that turns with it"
            )
        found[name] = float(values[0])
    for name in ("OutOfPlaneAngle", "InPlaneAngle", "SourceOffsetY"):
        if abs(found[name]) > 1e-4:
            raise SinogramError(f"{path}: {name} is {found[name]:g}; expected 0, no other is read")
    geometry: dict[str, Any] = {
        "type": "cone",
        "angles_deg": [_number(path, view, "GantryAngle", None) for view in views],
        "angle_unit": "deg",
        "angle_direction": "counterclockwise",
        "source_to_axis_mm": found["SourceToIsocenterDistance"],
        "source_to_detector_mm": found["SourceToDetectorDistance"],
        "axis_offset_mm": found["SourceOffsetX"],
        "detector_offset_mm": found["ProjectionOffsetX"] - found["SourceOffsetX"],
        "detector_row_offset_mm": found["ProjectionOffsetY"],
    }
    return {"geometry": geometry}


def _views(path: Path) -> list[dict[str, str]]:
    """The elements of each projection by name, those that stand once for all included."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SinogramError(f"{path} is larger than 128 MiB; expected the geometry of a scan")
        content = path.read_bytes()
        if b"<!ENTITY" in content:  # a kilobyte of them can fill the memory
            raise SinogramError(f"{path} declares entities, which no geometry needs; it is made to do harm")
        root = ET.fromstring(content)  # noqa: S314 - without entities there is nothing in XML to be harmed by
    except OSError as error:
        raise SinogramError(f"{path} cannot be read ({error.strerror})") from error
    except (ET.ParseError, ValueError, LookupError) as error:
        raise SinogramError(f"{path} is no valid XML ({one_line(str(error), 80)}); copy it again") from error
    if root.tag != _ROOT:
        raise SinogramError(f"{path} holds {one_line(root.tag, 40)}; expected {_ROOT}, a geometry of RTK")
    shared = _said(path, [one for one in root if one.tag != "Projection"])
    views = [shared | _said(path, one) for one in root if one.tag == "Projection"]
    if not 0 < len(views) <= _MOST_VIEWS:
        raise SinogramError(f"{path} has {len(views)} elements Projection; expected one a view")
    return views


def _said(path: Path, elements: Iterable[ET.Element]) -> dict[str, str]:
    """Texts by name; SinogramError where two of a name contradict each other."""
    found: dict[str, str] = {}
    for one in elements:
        text = one.text or ""
        if found.setdefault(one.tag, text) != text:
            both = " and ".join(one_line(part, 20) for part in (found[one.tag], text))
            raise SinogramError(f"{path}: {one_line(one.tag, 40)} is said twice, {both}; leave one of them in")
    return found


def _number(path: Path, view: dict[str, str], name: str, default: float | None) -> float:
    text = view.get(name)
    if text is None:
        if default is None:
            raise SinogramError(f"{path} has a Projection without {name}; write the geometry again")
        return default
    value = float(text) if re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", text) else math.nan
    if not math.isfinite(value):
        raise SinogramError(f"{path}: {name} is {one_line(repr(text), 30)}; expected a number")
    return value
