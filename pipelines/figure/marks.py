"""Marks of a technical drawing on matplotlib axes: arrows, dimensions, labels that stay readable."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy
from numpy.typing import NDArray

Array = NDArray[np.floating]
Place = Array | tuple[float, float]

INK, FAINT, OFFSET = "#222222", "#9a9a9a", "#c2185b"
_PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
_TEXT: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "zorder": 6}


def label(ax: Axes, place: Place, text: str, push: Place = (0, 0), *, colour: str = INK) -> None:
    """Text whose centre is ``push`` points (x, y) away from a place (x, y), on a patch of paper."""
    ax.annotate(text, _pair(place), _pair(push), textcoords="offset points", color=colour, **_TEXT, bbox=_PAPER)


def arrow(ax: Axes, start: Place, end: Place, *, colour: str = INK, style: str = "-|>") -> None:
    """A straight arrow from start to end, both (x, y)."""
    drawn = {"arrowstyle": style, "color": colour, "lw": 1.0, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
    ax.annotate("", _pair(end), _pair(start), arrowprops=drawn, zorder=5)
    ax.update_datalim([_pair(start), _pair(end)])


def line(ax: Axes, start: Place, end: Place, **style: Any) -> None:
    """A straight line."""
    ax.plot(*zip(start, end, strict=True), **style)


def arc(ax: Axes, radius: float, start_rad: float, end_rad: float, *, colour: str = INK) -> None:
    """Part of a circle around the origin with an arrow at its end; anticlockwise where the end is the larger angle."""
    angles = np.linspace(start_rad, end_rad, 60)
    x, y = radius * np.cos(angles), radius * np.sin(angles)
    ax.plot(x, y, color=colour, lw=1.0, zorder=5)
    # the head points along the last bit of the line
    arrow(ax, (x[-4], y[-4]), (x[-1], y[-1]), colour=colour)


def dimension(ax: Axes, start: Array, end: Array, shift: Array, text: str) -> None:
    """The distance between two places, measured out on a line ``shift`` mm beside them, with its text on the line."""
    for place in (start, end):
        line(ax, place, place + shift, color=FAINT, lw=0.6, ls=":", zorder=1)
    arrow(ax, start + shift, end + shift, style="<|-|>")
    x, y = (start + end) / 2 + shift
    angle = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
    readable = (angle + 90) % 180 - 90  # never upside down
    ax.text(x, y, text, rotation=readable, rotation_mode="anchor", color=INK, **_TEXT, bbox=_PAPER | {"alpha": 1.0})


def small_dimension(ax: Axes, start: Array, end: Array, place: Array, push: Place, text: str) -> None:
    """A distance that may be too short for its text, which stands ``push`` points (x, y) from another place."""
    line(ax, start, end, color=OFFSET, lw=2.5, solid_capstyle="butt", zorder=5)
    dx, dy = _pair(push)
    beside = offset_copy(ax.transData, cast(Figure, ax.get_figure(root=True)), dx, dy, "points")
    pointer = {"arrowstyle": "-", "color": OFFSET, "lw": 0.6}
    middle = _pair((start + end) / 2)
    ax.annotate(text, middle, _pair(place), textcoords=beside, color=OFFSET, **_TEXT, bbox=_PAPER, arrowprops=pointer)
    ax.update_datalim([_pair(place)])


def _pair(place: Place) -> tuple[float, float]:
    x, y = place
    return float(x), float(y)
