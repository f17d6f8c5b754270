"""A scan and its grid in a few lines of text, to stand beside their drawing."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np

from ctresample.geometry import Geometry, Grid

_GAP_FACTOR = 3
"""Between two views nothing was measured when they are this many times further apart than usual."""

_FEW = 4


def facts_of(geometry: Geometry, grid: Grid, view: int) -> str:
    """Every attribute of a scan and its grid, and how much of a circle its views cover; several lines."""
    groups = {
        type(geometry).__name__: _values(geometry),
        "views": [
            f"{geometry.n_views} in all (red dots); drawn: view {view}",
            f"from {_degrees(min(geometry.angles_rad))}° to {_degrees(max(geometry.angles_rad))}°",
            *_coverage(geometry),
        ],
        type(grid).__name__: _values(grid),
    }
    return "\n\n".join("\n".join((title, *(f"  {line}" for line in lines))) for title, lines in groups.items())


def _values(owner: Geometry | Grid) -> list[str]:
    values = {field.name: getattr(owner, field.name) for field in fields(owner) if field.name != "angles_rad"}
    return [f"{name} = {_text(value)}" for name, value in values.items()]


def _degrees(angle_rad: float) -> str:
    return f"{math.degrees(angle_rad) + 0.0:.5g}"  # no -0


def _text(value: Any) -> str:
    if value == ():
        return "none"
    if isinstance(value, tuple) and len(value) > _FEW:  # of each view
        return f"{_text(value[0])} to {_text(value[-1])}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))})"
    return value if isinstance(value, str) else f"{value:.6g}"


def _coverage(geometry: Geometry) -> list[str]:
    """How much of a circle the views cover, and how much is enough."""
    parallel, turn = geometry.name == "parallel", geometry.turn_rad
    places = np.unique(np.mod(geometry.angles_rad, turn).round(9))
    if len(places) == 1:
        return ["one direction only"]
    steps = np.diff(places, append=places[0] + turn)
    usual, widest = float(np.median(steps)), float(steps.max())
    n_gaps = int((steps > _GAP_FACTOR * usual).sum())
    if n_gaps == 0:
        return ["half circle" if parallel else "full circle"]
    if n_gaps > 1:
        return [f"{n_gaps} arcs; widest gap {math.degrees(widest):.4g}°"]
    arc_rad = turn - widest + usual
    needed = geometry.short_scan_rad
    kind = "short scan" if arc_rad > needed - usual / 2 else "limited angle"
    enough = f"{math.degrees(needed):.4g}° see every line" + ("" if parallel else " (short_scan_rad)")
    return [f"{kind}: an arc of {math.degrees(arc_rad):.4g}°", enough]
