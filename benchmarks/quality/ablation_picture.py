"""One ablation as a picture: quality and work of each point, with the paired differences' intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ctresample.pipelines.benchmark.summary import SummaryRow

SHOWN = (
    ("psnr_db", "PSNR dB"),
    ("ssim", "SSIM"),
    ("soft_tissue_rmse_hu", "RMSE in soft tissue, HU"),
    ("projections", "projections a slice"),
)

_LINE, _BASE = "#1f5f8b", "#b3400e"


def draw(points: Mapping[str, SummaryRow], base: str, path: Path, *, title: str) -> None:
    """A panel a figure, a place on the axis a point; bars are 95 % intervals of the paired difference to the base.

    Args:
        points: what was measured, by name, in the order to show.
        base: preset of the row that the differences are to; it is drawn hollow and has no bar.
        path: PNG to write.
        title: what is varied, and on which scan.
    """
    names, rows = list(points), list(points.values())
    figure = Figure(figsize=(3.1 * len(SHOWN), 1.8 + 0.28 * len(rows)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(SHOWN), sharey=True, squeeze=False)[0]
    places = range(len(rows))
    for ax, (name, heading) in zip(axes, SHOWN, strict=True):
        means = [row.figures[name].mean for row in rows]
        ax.plot(means, places, "-", color=_LINE, lw=0.8, alpha=0.5)
        for place, row, mean in zip(places, rows, means, strict=True):
            is_base, difference = row.preset == base, row.differences.get(name)
            if difference is not None and not math.isnan(difference.low):
                # the point is the mean over all slices, so the interval is laid around the mean difference
                below, above = difference.mean - difference.low, difference.high - difference.mean
                ax.errorbar(mean, place, xerr=[[below], [above]], color=_LINE, capsize=2, lw=1)
            colour = _BASE if is_base else _LINE
            ax.plot(mean, place, "o", color=colour, mfc="white" if is_base else colour, ms=5)
        if name == "projections":
            ax.set_xlim(0, 1.08 * max(means))
        ax.set_xlabel(heading)
        ax.grid(axis="x", color="#dddddd", lw=0.5)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(list(places), names)
    axes[0].invert_yaxis()
    figure.suptitle(f"{title} (hollow: {base})", fontsize="medium")
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.print_png(str(path))
