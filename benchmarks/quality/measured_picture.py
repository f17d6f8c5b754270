"""Images of one slice by several methods, from few and from many views, and a part of each enlarged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from ctresample.geometry import ImageGrid

DARK, BRIGHT = 0.0, 0.042
"""Grey scale in 1/mm: from nothing to a little above the plastic."""

PART_MM = (-12.0, 14.0, -16.0, 10.0)
"""Of the enlarged part: left, right, bottom, top."""

COLOURS = 192
"""Enough for an even grey scale, at half the size of the file."""

_MARK = "#ffb300"


def draw(
    images: Mapping[tuple[str, int], NDArray[np.floating]],
    grid: ImageGrid,
    path: Path,
    part_mm: tuple[float, ...] = PART_MM,
) -> None:
    """A row of whole images and one of parts for each number of views, most views first; a column a method.

    Args:
        images: by name of the method and number of views, in 1/mm.
        grid: of all of them.
        path: PNG to write.
        part_mm: left, right, bottom and top of the enlarged part.
    """
    methods = list(dict.fromkeys(method for method, _ in images))
    counts = sorted({views for _, views in images}, reverse=True)
    figure = Figure(figsize=(1.75 * len(methods) + 0.9, 3.62 * len(counts)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(2 * len(counts), len(methods), squeeze=False)
    half_x, half_y = grid.shape[1] * grid.pixel_size_mm / 2, grid.shape[0] * grid.pixel_height_mm / 2
    (x, y), (left, right, bottom, top) = grid.centre_mm, part_mm
    extent = (x - half_x, x + half_x, y - half_y, y + half_y)
    for row, views in enumerate(counts):
        for column, method in enumerate(methods):
            whole, part = axes[2 * row : 2 * row + 2, column]
            for ax in (whole, part):
                shown = ax.imshow(images[method, views], "gray", vmin=DARK, vmax=BRIGHT, extent=extent)
                ax.set(xticks=[], yticks=[])
            whole.add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False, ec=_MARK, lw=0.8))
            part.set(xlim=(left, right), ylim=(bottom, top))
            for edge in part.spines.values():
                edge.set_color(_MARK)
            if row == 0:
                whole.set_title(method, fontsize=10)
        axes[2 * row, 0].set_ylabel(f"{views} views", fontsize=10)
        axes[2 * row + 1, 0].set_ylabel(f"{right - left:g} mm of it", fontsize=9)
    bar = figure.colorbar(shown, ax=axes, shrink=0.5, pad=0.01)
    bar.set_label("attenuation in 1/mm", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    canvas.draw()
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
    drawn.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
