"""One HTML file that shows a benchmark: figures, pictures in two windows, one part enlarged, differences to the truth.

Self-contained: the pictures are PNG inside the file, the HU of the interactive viewer too, and a content security
policy forbids it to fetch anything and to run any script but the viewer's. Pictures and tables need no script: they
are for print, and for browsers that run none. The file says nothing about a patient beyond the pixels, the
facts and the slice names that the caller hands over, so these must be pseudonyms.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctresample import metrics, units
from ctresample.display import telling_window
from ctresample.errors import UsageError
from ctresample.files import write_file
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.benchmark.figures import COMPARED, MAIN
from ctresample.pipelines.benchmark.markdown import reading, with_interval
from ctresample.pipelines.benchmark.slice_images import SliceImages
from ctresample.pipelines.benchmark.summary import SummaryRow, best_rows, main_figures
from ctresample.pipelines.benchmark.viewed import benchmark_scene
from ctresample.pipelines.page import filled
from ctresample.pipelines.viewer.embed import embed, full_colour_hu
from ctresample.pipelines.viewer.zoom import Zoom

if TYPE_CHECKING:
    from PIL import Image

WINDOWS = ("soft tissue", "lung")
"""Display windows of the pictures, by their names in ``ctresample.units.WINDOWS``."""

DIFFERENCE_HU = 200.0
"""Differences to the truth are drawn from minus to plus this. Those of a method that errs by more, as FBP does, have a
scale of their own, which is said below them, or they would be all end colours."""

OPEN_SLICES = 1
"""So many slices are unfolded on screen; print unfolds them all."""

# Odd, so that a difference of zero has a colour of its own (white). Steps of 3 HU are too fine to
# see, and half the levels make noise, which does not compress, one bit a pixel smaller.
_DIFFERENCE_LEVELS = 127


def write_report(
    path: StrPath,
    *,
    title: str,
    facts: Mapping[str, str],
    summary: Sequence[SummaryRow],
    images: Mapping[str, SliceImages],
    baseline: str = "",
    failures: Sequence[str] = (),
) -> None:
    """Write the report; the file is replaced whole or not at all.

    Args:
        path: the HTML file, in a folder that exists.
        title: shown as heading and as title of the browser tab.
        facts: what a reader needs to repeat or doubt the result, in the order to show: views,
            photons, name of the prior and hash of its weights, seed, version.
        summary: of the results, from `summarise`. Its one data range holds for the pictures too.
        images: slice name -> pictures, in the order to show; may be fewer slices than were measured.
            PSNR, SSIM and RMSE beside the pictures are computed from these.
        baseline: label of the method that the summary's differences are to.
        failures: a line for each reconstruction that failed.

    Raises:
        UsageError: there are no results, a slice has no method, or the zoomed region lies outside.
        GeometryError: a slice and its truth differ in shape, or are smaller than 11 x 11.
        CTResampleError: a pixel is not finite.
        OutputError: the file cannot be written.
    """
    path = as_path(path, "path")
    if not summary:
        raise UsageError("a report needs at least one row of results, found none")
    # the same for all; where every reconstruction failed there is none, and nothing to compute with it
    data_range_hu = summary[0].data_range_hu
    colour_bar = _difference_picture(np.linspace(-DIFFERENCE_HU, DIFFERENCE_HU, 4 * _DIFFERENCE_LEVELS)[np.newaxis])
    slices = [_slice(name, pictures, data_range_hu) for name, pictures in images.items()]  # checks them, too
    html = filled(
        "report.html.j2",
        viewer=embed(benchmark_scene(images)) if images else None,
        title=title,
        facts=facts,
        figures=main_figures(summary),
        compared=COMPARED,
        groups=_summary_groups(summary, baseline),
        baseline=baseline,
        failures=failures,
        data_range_hu=data_range_hu,
        slices=slices,
        open_slices=OPEN_SLICES,
        difference_hu=DIFFERENCE_HU,
        colour_bar=_data_uri(colour_bar),
    )
    write_file(path, html)


def _summary_groups(summary: Sequence[SummaryRow], baseline: str) -> list[dict[str, Any]]:
    """The summary as text, one group for each condition."""
    main = main_figures(summary)
    marks = {figure.name: best_rows(summary, figure) for figure in main}
    groups: dict[str, list[dict[str, Any]]] = {}
    for index, row in enumerate(summary):
        pairs = [(figure, row.figures[figure.name]) for figure in main]
        cells = [
            {"mean": figure.text(pair.mean), "sd": figure.text(pair.sd), "best": marks[figure.name][index]}
            for figure, pair in pairs
        ]
        differences = [with_interval(row.differences.get(figure.name), figure) for figure in COMPARED]
        line = {"row": row, "cells": cells, "differences": differences if row.differences else []}
        groups.setdefault(row.condition, []).append(line)
    return [
        {
            "condition": condition,
            "lines": lines,
            "compared": [line for line in lines if line["differences"]],
            "reading": reading([line["row"] for line in lines], baseline),
        }
        for condition, lines in groups.items()
    ]


def _slice(name: str, images: SliceImages, data_range_hu: float) -> dict[str, Any]:
    """One slice as the template wants it: a column for the truth and each method, and strips of pictures."""
    if not images.by_method:
        raise UsageError(f"slice {name!r} has no method to compare with the truth")
    truth = images.truth_hu
    columns = [{"label": "Truth", "figures": []}, *_method_columns(images, data_range_hu)]
    shown = [truth, *images.by_method.values()]
    strips = [
        {
            "name": window,
            "note": f"level {level:g}, width {width:g} HU".replace("-", "−"),
            "sources": [_data_uri(_window_picture(hu, level, width)) for hu in shown],
        }
        for window, (level, width) in ((window, units.WINDOWS[window]) for window in WINDOWS)
    ]
    zoom = images.zoom and _zoom(images.zoom, shown)
    # In float64: stored integers would wrap around.
    differences = [np.subtract(hu, truth, dtype=np.float64) for hu in images.by_method.values()]
    scales = [max(DIFFERENCE_HU, full_colour_hu(difference)) for difference in differences]
    return {
        "name": name,
        "condition": images.condition,
        "columns": columns,
        "strips": strips,
        "zoom": zoom,
        "differences": [
            {"source": _data_uri(_difference_picture(difference, scale)), "own_hu": scale > DIFFERENCE_HU and scale}
            for difference, scale in zip(differences, scales, strict=True)
        ],
        "height": truth.shape[0],
        "width": truth.shape[1],
    }


def _zoom(zoom: Zoom, shown: Sequence[NDArray[np.floating[Any]]]) -> dict[str, Any]:
    """The enlarged parts, and the place of the frame in hundredths of the picture."""
    rows, columns = shown[0].shape
    zoom.check(shown[0].shape)
    window = telling_window(zoom.cut(shown[0]))
    level, width = units.WINDOWS[window]
    return {
        "window": window,
        "note": f"{zoom.size} × {zoom.size} pixels from row {zoom.row}, column {zoom.column}",
        "sources": [_data_uri(_window_picture(zoom.cut(hu), level, width)) for hu in shown],
        "frame": {
            "left": 100 * zoom.column / columns,
            "top": 100 * zoom.row / rows,
            "width": 100 * zoom.size / columns,
            "height": 100 * zoom.size / rows,
        },
        "size": zoom.size,
    }


def _method_columns(images: SliceImages, data_range_hu: float) -> list[dict[str, Any]]:
    """Label and figures of each method on this slice, the best of each figure marked."""
    truth, methods = images.truth_hu, list(images.by_method.values())
    values = {
        "psnr_db": [metrics.psnr_db(hu, truth, data_range_hu=data_range_hu) for hu in methods],
        "ssim": [metrics.ssim(hu, truth, data_range_hu=data_range_hu) for hu in methods],
        "rmse_hu": [metrics.rmse_hu(hu, truth) for hu in methods],
    }
    figures = [figure for figure in MAIN if figure.name in values]
    marks = {figure.name: figure.best_of(values[figure.name]) for figure in figures}
    return [
        {
            "label": label,
            "figures": [
                {"heading": f.heading, "text": f.text(values[f.name][index]), "best": marks[f.name][index]}
                for f in figures
            ],
        }
        for index, label in enumerate(images.by_method)
    ]


def _window_picture(hu: NDArray[np.floating[Any]], level: float, width: float) -> Image.Image:
    """Grey picture of ``[y, x]`` HU: black at ``level - width / 2``, white at ``level + width / 2``."""
    from PIL import Image

    return Image.fromarray(_levels(hu, level - width / 2, level + width / 2, 256))


def _difference_picture(difference_hu: NDArray[np.floating[Any]], scale_hu: float = DIFFERENCE_HU) -> Image.Image:
    """Blue (too low) through white (right) to red (too high), with a palette: a third the size of RGB."""
    from matplotlib import colormaps
    from PIL import Image

    picture = Image.fromarray(_levels(difference_hu, -scale_hu, scale_hu, _DIFFERENCE_LEVELS))
    colours = colormaps["RdBu_r"](np.linspace(0, 1, _DIFFERENCE_LEVELS), bytes=True)[:, :3]
    picture.putpalette(colours.tobytes())
    return picture


def _levels(values: NDArray[np.floating[Any]], low: float, high: float, count: int) -> NDArray[np.uint8]:
    """The nearest of ``count`` levels from ``low`` to ``high``; values outside take the end levels."""
    fraction = np.clip((np.asarray(values, dtype=np.float64) - low) / (high - low), 0, 1)
    return np.rint(fraction * (count - 1)).astype(np.uint8)


def _data_uri(picture: Image.Image) -> str:
    png = io.BytesIO()
    picture.save(png, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode("ascii")
