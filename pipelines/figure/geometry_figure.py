"""A scan as a drawing: axes, signs and distances, taken from the rays that the projectors follow."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import cast

import h5py
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.errors import UsageError
from ctresample.files import check_new_file, write_file
from ctresample.geometry import Geometry, Grid, ImageGrid, VolumeGrid
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.figure.drawn_rays import Frame, central_rays, frame_of, lines_of, unit
from ctresample.pipelines.figure.marks import INK, arc, arrow, dimension, label, line, small_dimension
from ctresample.pipelines.figure.scan_in_words import facts_of

Array = NDArray[np.floating]

IMAGE, RAYS, DETECTOR, SOURCE = "#1565c0", "#f0a030", "#2e7d32", "#c62828"

_DPI = 110
_MOST_RAYS = 13
_MOST_LINES = 24  # pixel edges a side, and bins, that are drawn one by one
_MOST_VIEWS = 720  # of those that were measured, as dots


def draw_scan(geometry: Geometry, grid: Grid, *, view: int = 0) -> Figure:
    """One view of a scan with its image, in millimetres; a cone beam also from the side.

    Args:
        geometry: the scan.
        grid: what it is reconstructed on.
        view: which view's rays are drawn, counted from 0; the others are dots where their source stands, or where
            their parallel rays come from.

    Returns:
        A figure about 1200 pixels wide, to be saved with ``savefig``; pyplot knows nothing of it.

    Raises:
        UsageError: there is no such view.
        GeometryError: the grid does not fit the scan.
    """
    geometry.check_outside(grid)
    if not 0 <= view < geometry.n_views:
        raise UsageError(f"view is {view}; expected 0 to {geometry.n_views - 1}")
    is_volume = geometry.is_volume
    figure = Figure(figsize=(11, 12 if is_volume else 8), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.add_gridspec(
        2 if is_volume else 1, 2, width_ratios=(3, 1.15), height_ratios=(8, 4) if is_volume else None
    )
    plane = figure.add_subplot(places[0, 0])
    _draw_plane(plane, geometry, grid, view)
    if is_volume:
        side = figure.add_subplot(places[1, :])
        _draw_from_the_side(side, geometry, cast(VolumeGrid, grid), view)
    facts = figure.add_subplot(places[0, 1])
    facts.axis("off")
    facts.text(0, 1, facts_of(geometry, grid, view), family="monospace", fontsize=8, va="top", linespacing=1.5)
    return figure


def write_scan_figure(scan: StrPath, out: StrPath) -> None:
    """Draw the first view of a sinogram file's scan as a PNG, and beside it what was measured of the middle slice.

    Args:
        scan: a sinogram file.
        out: a new file; it appears under its name only when it is complete.

    Raises:
        UsageError: ``scan`` is another kind of file, or ``out`` has another ending than .png.
        SinogramError: the sinogram file cannot be used.
        OutputError: ``out`` exists, or cannot be written.
    """
    scan = as_path(scan, "scan")
    out = as_path(out, "out")
    if out.suffix.lower() != ".png":
        raise UsageError(f"figure {out} ends in {out.suffix!r}; expected a name that ends in .png")
    check_new_file(out)
    if not (scan.is_file() and h5py.is_hdf5(scan)):
        raise UsageError(
            f"{scan} has no scan to draw; expected a sinogram file, as `ctresample simulate` and `ctresample import` "
            "make them; name one or leave the figure out"
        )
    sinogram = read_sinogram(scan)
    drawn = [_as_picture(draw_scan(sinogram.geometry, sinogram.grid)), _as_picture(sinogram.plot())]
    whole = Image.new("RGB", (sum(one.width for one in drawn), max(one.height for one in drawn)), "white")
    whole.paste(drawn[0], (0, 0))
    whole.paste(drawn[1], (drawn[0].width, (whole.height - drawn[1].height) // 2))
    content = io.BytesIO()
    whole.save(content, "PNG")
    write_file(out, content.getbuffer())


def _as_picture(figure: Figure) -> Image.Image:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    pyplot.close(figure)
    return Image.open(content)


# ---------------------------------------------------------------- along the rotation axis


def _draw_plane(ax: Axes, geometry: Geometry, grid: Grid, view: int) -> None:
    slice_grid = grid.slice_grid
    size, reach_mm = slice_grid.radius_mm, 1.45 * slice_grid.radius_mm
    frame = frame_of(geometry, view, reach_mm)
    # an image that is small in its scanner still leaves room for what is written around the axis
    size = max(size, 0.3 * float(np.linalg.norm(frame.source)), 0.08 * float(np.linalg.norm(frame.foot - frame.source)))
    _draw_image(ax, slice_grid)
    _draw_views(ax, geometry, frame, reach_mm)
    _draw_axes(ax, size)
    _draw_angle(ax, geometry.angles_rad[view], frame, 0.42 * size)
    _draw_rays(ax, frame.lines.starts, frame.lines.ends)
    line(ax, frame.source, frame.foot, color=SOURCE, lw=1.0, ls=(0, (8, 3, 2, 3)), zorder=3)
    _draw_detector(ax, frame, 0.3 * size)
    _draw_distances(ax, geometry, frame, size)
    ax.set(aspect="equal", adjustable="datalim", xlabel="x / mm", ylabel="y / mm")
    ax.set_title("seen along the rotation axis: x to the right, y up", fontsize=9)
    ax.margins(0.07)
    ax.tick_params(labelsize=8)


def _draw_image(ax: Axes, grid: ImageGrid) -> None:
    width, height = grid.pixel_size_mm, grid.pixel_height_mm
    (left, right), (bottom, top) = _edges(grid.x_mm, width), _edges(grid.y_mm, height)
    _draw_box(ax, left, right, bottom, top)
    if max(grid.shape) <= _MOST_LINES:
        ax.vlines(grid.x_mm[1:] - width / 2, bottom, top, color=IMAGE, lw=0.3, zorder=1)
        ax.hlines(grid.y_mm[1:] + height / 2, left, right, color=IMAGE, lw=0.3, zorder=1)
    # the first pixel, large enough to be seen; the names beside the axes, not on them
    least = max(right - left, top - bottom) / 40
    ax.add_patch(Rectangle((left, top), max(width, least), -max(height, least), color=IMAGE, zorder=2))
    label(ax, (left, top), "[0, 0]", (-14, 8), colour=IMAGE)
    label(ax, (0.3 * left + 0.7 * right, top), "row 0 →", (0, 8), colour=IMAGE)
    label(ax, (left, 0.3 * top + 0.7 * bottom), "column 0 ↓", (-32, 0), colour=IMAGE)


def _draw_box(ax: Axes, left: float, right: float, bottom: float, top: float) -> None:
    size = right - left, top - bottom
    ax.add_patch(Rectangle((left, bottom), *size, facecolor="#e3eefb", edgecolor=IMAGE, lw=1.4, zorder=1))


def _draw_views(ax: Axes, geometry: Geometry, frame: Frame, reach_mm: float) -> None:
    views = range(0, geometry.n_views, math.ceil(geometry.n_views / _MOST_VIEWS))
    central = central_rays(geometry.one_row())
    x, y = np.array([lines_of(central, view, reach_mm).starts[1] for view in views]).T
    ax.plot(x, y, "o", color="#ef9a9a", ms=3, mew=0, zorder=1)
    radius, place = float(np.hypot(*frame.source)), math.atan2(*frame.source[::-1])
    sense, half_way = 1.05 * radius, np.array([math.cos(place + 0.33), math.sin(place + 0.33)])
    arc(ax, sense, place + 0.22, place + 0.44, colour=SOURCE)
    label(ax, sense * half_way, "θ grows", half_way * (28, 12), colour=SOURCE)
    if geometry.name == "parallel":
        label(ax, frame.source, "rays from here", -frame.along * (48, 14), colour=SOURCE)
        return
    ax.plot(*frame.source, "o", color=SOURCE, ms=6, zorder=5)
    label(ax, frame.source, "source", -frame.along * (28, 14), colour=SOURCE)


def _draw_axes(ax: Axes, size: float) -> None:
    for direction, name in (((1, 0), "x"), ((0, 1), "y")):
        unit = np.array(direction, float)
        arrow(ax, -1.1 * size * unit, 1.22 * size * unit)
        label(ax, 1.22 * size * unit, name, 9 * unit)
    ax.plot(0, 0, "o", mfc="white", mec=INK, ms=6, zorder=5)
    ax.plot(0, 0, ".", color=INK, ms=3, zorder=5)


def _draw_angle(ax: Axes, angle_rad: float, frame: Frame, radius: float) -> None:
    shown = math.fmod(angle_rad, 2 * math.pi)
    end = 1.25 * radius * frame.across
    line(ax, (0, 0), end, color=INK, lw=0.8, ls="--", zorder=4)
    if abs(shown) > 0.05:
        arc(ax, radius, 0, shown)
    middle = np.array([math.cos(shown / 2), math.sin(shown / 2)])
    label(ax, radius * middle, f"θ = {math.degrees(angle_rad):.4g}°", middle * (32, 10))


def _draw_rays(ax: Axes, starts: Array, ends: Array) -> None:
    chosen = np.unique(np.linspace(0, len(ends) - 1, _MOST_RAYS).round().astype(int))
    for start, end in zip(starts[chosen], ends[chosen], strict=True):
        line(ax, start, end, color=RAYS, lw=0.8, zorder=2)


def _draw_detector(ax: Axes, frame: Frame, arrow_mm: float) -> None:
    ends = frame.lines.ends
    ax.plot(*ends.T, color=DETECTOR, lw=2.5, zorder=4)
    if len(ends) <= _MOST_LINES:
        ax.plot(*ends.T, "o", color=DETECTOR, ms=4, zorder=4)
    first, last = ends[0], ends[-1]
    ax.plot(*first, "s", color=DETECTOR, ms=7, zorder=5)
    behind = frame.along * (30, 14)
    label(ax, first, "bin 0", behind - 8 * frame.across, colour=DETECTOR)
    direction = frame.across
    if len(ends) > 1:
        label(ax, last, f"bin {len(ends) - 1}", behind + 8 * frame.across, colour=DETECTOR)
        direction = unit(last - ends[-2])
    tip = last + arrow_mm * direction
    arrow(ax, last, tip, colour=DETECTOR)
    label(ax, tip, "u", 8 * direction, colour=DETECTOR)


def _draw_distances(ax: Axes, geometry: Geometry, frame: Frame, size: float) -> None:
    if geometry.detector_offset_mm:
        text = f"detector_offset_mm = {geometry.detector_offset_mm:.6g}"
        place, push = (frame.foot + frame.middle) / 2, frame.along * (66, 26)
        small_dimension(ax, frame.foot, frame.middle, place, push, text)
    lengths = geometry.lengths_mm
    if "source_to_axis_mm" not in lengths:
        return
    if lengths["axis_offset_mm"]:
        passes = frame.source + lengths["source_to_axis_mm"] * frame.along
        text = f"axis_offset_mm = {lengths['axis_offset_mm']:.6g}"
        small_dimension(ax, np.zeros(2), passes, 1.4 * size * frame.across, frame.across * (56, 14), text)
    # beside all rays, on the side of bin 0
    beside = min(float(((frame.lines.ends - frame.foot) @ frame.across).min()), -size)
    for part, name in ((0.06, "source_to_axis_mm"), (0.13, "source_to_detector_mm")):
        length = lengths[name]
        shift = (beside - part * lengths["source_to_detector_mm"]) * frame.across
        dimension(ax, frame.source, frame.source + length * frame.along, shift, f"{name} = {length:.6g}")


# ---------------------------------------------------------------- from the side


def _draw_from_the_side(ax: Axes, geometry: Geometry, grid: VolumeGrid, view: int) -> None:
    lengths = geometry.lengths_mm
    frame = frame_of(geometry, view, 0.0)
    middle_mm = float(geometry.detector_mm[np.abs(geometry.detector_mm).argmin()])
    lines = lines_of(replace(geometry, n_detectors=1, detector_offset_mm=middle_mm), view, 0.0)

    def seen(places: Array) -> Array:
        return np.stack([places[..., :2] @ frame.along, places[..., 2]], axis=-1)

    starts, ends = seen(lines.starts[:, 0]), seen(lines.ends[:, 0])
    (bottom, top), y, x = (_edges(axis, step) for axis, step in zip(grid.axes_mm, grid.steps_mm, strict=True))
    corners = np.array([(x_mm, y_mm) for x_mm in x for y_mm in y]) @ frame.along
    left, right = corners.min(), corners.max()
    _draw_box(ax, left, right, bottom, top)
    if len(grid.z_mm) <= _MOST_LINES:
        ax.hlines(grid.z_mm[1:] - grid.slice_step_mm / 2, left, right, color=IMAGE, lw=0.3, zorder=1)
    label(ax, (right, bottom), "slice 0", (-20, -9), colour=IMAGE)
    if len(grid.z_mm) > 1:
        label(ax, (right, top), f"slice {len(grid.z_mm) - 1}", (-20, 9), colour=IMAGE)
    _draw_rays(ax, starts, ends)
    ax.plot(*starts[0], "o", color=SOURCE, ms=6, zorder=5)
    label(ax, starts[0], "source", (0, 13), colour=SOURCE)
    # on a circle at z = 0, on a helix where the view is
    foot = starts[0] + [lengths["source_to_detector_mm"], 0.0]
    line(ax, starts[0], foot, color=SOURCE, lw=1.0, ls=(0, (8, 3, 2, 3)), zorder=3)
    reach = max(np.abs(ends[:, 1]).max(), abs(top), abs(bottom))
    arrow(ax, (0, -1.1 * reach), (0, 1.25 * reach))
    label(ax, (0, 1.25 * reach), "z", (9, 0))
    label(ax, (0, -1.1 * reach), "axis", (0, -8))
    ax.plot(*ends.T, color=DETECTOR, lw=2.5, zorder=4)
    if len(ends) <= _MOST_LINES:
        ax.plot(*ends.T, "o", color=DETECTOR, ms=4, zorder=4)
    label(ax, ends[0], "detector row 0", (48, 0), colour=DETECTOR)
    if len(ends) > 1:
        label(ax, ends[-1], f"detector row {len(ends) - 1}", (48, 0), colour=DETECTOR)
    if row_offset_mm := lengths["detector_row_offset_mm"]:
        text = f"detector_row_offset_mm = {row_offset_mm:.6g}"
        middle = foot + [0, row_offset_mm]
        small_dimension(ax, foot, middle, (foot + middle) / 2, np.array([84.0, 0.0]), text)
    for part, name in ((0.06, "source_to_axis_mm"), (0.13, "source_to_detector_mm")):
        length = lengths[name]
        shift = np.array([0, -1.25 * reach - part * lengths["source_to_detector_mm"]])
        dimension(ax, starts[0], starts[0] + [length, 0.0], shift, f"{name} = {length:.6g}")
    ax.set(aspect="equal", adjustable="datalim", xlabel="along the central ray, from the axis / mm", ylabel="z / mm")
    ax.set_title("seen from the side: the rows of the detector's middle column", fontsize=9)
    ax.margins(0.06)
    ax.tick_params(labelsize=8)


def _edges(centres: Array, step: float) -> tuple[float, float]:
    """Outer edges of a row of cells, the lower one first."""
    return float(centres.min() - abs(step) / 2), float(centres.max() + abs(step) / 2)
