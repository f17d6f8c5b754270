"""Pictures of a model card, as bytes of PNG files."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from ctresample.pipelines.model_card.curves import Curve
from ctresample.pipelines.model_card.denoising import DenoisingErrors
from ctresample.units import WINDOWS

DIFFERENCE_HU = 100.0
"""Errors of the autoencoder are drawn from minus to plus this."""

_GREYS = 64  # as many as one sees, in files a good deal smaller than with 256
_COLOURS = 192
_COLUMNS = 4
_GAP = 2

Slice = NDArray[np.floating]


def grid_png(images: torch.Tensor, window: str) -> bytes:
    """Images ``(n, 1, size, size)`` in HU side by side, pixel for pixel, in one of ``units.WINDOWS``."""
    n, size = len(images), images.shape[-1]
    rows, columns = math.ceil(n / _COLUMNS), min(n, _COLUMNS)
    sheet = np.full((rows * (size + _GAP) - _GAP, columns * (size + _GAP) - _GAP), _GREYS - 1, np.uint8)
    level, width = WINDOWS[window]
    shown = ((images[:, 0] - level) / width + 0.5).clamp(0, 1).mul(_GREYS - 1).round().byte().numpy()
    for k, image in enumerate(shown):
        row, column = (index * (size + _GAP) for index in divmod(k, columns))
        sheet[row : row + size, column : column + size] = image
    picture = Image.fromarray(sheet)
    greys = np.linspace(0, 255, _GREYS).round().astype(np.uint8)
    picture.putpalette(np.repeat(greys, 3).tobytes())
    return _png(picture)


def round_trip_png(pairs: Sequence[tuple[Slice, Slice]], window: str) -> bytes:
    """A row a slice: truth, reconstruction and their difference.

    Args:
        pairs: truth and reconstruction, each ``[y, x]`` in HU.
        window: one of ``units.WINDOWS``.
    """
    figure = Figure(figsize=(10.2, 3.2 * len(pairs)), dpi=100, layout="constrained")
    axes = figure.subplots(len(pairs), 3, squeeze=False)
    for (truth, image), (left, middle, right) in zip(pairs, axes, strict=True):
        _show(left, truth, window)
        _show(middle, image, window)
        error = right.imshow(image - truth, "RdBu_r", vmin=-DIFFERENCE_HU, vmax=DIFFERENCE_HU, interpolation="nearest")
        right.set(xticks=[], yticks=[])
        figure.colorbar(error, ax=right, shrink=0.9).set_label("HU")
    for ax, title in zip(axes[0], ("slice", "encoded and decoded", "difference"), strict=True):
        ax.set_title(title)
    return _figure_png(figure)


def neighbours_png(pairs: Sequence[tuple[Slice, Slice, float]], window: str) -> bytes:
    """A column a sample, with its nearest training slice below it.

    Args:
        pairs: sample, training slice (each ``[y, x]`` in HU), and their distance.
        window: one of ``units.WINDOWS``.
    """
    figure = Figure(figsize=(2.4 * len(pairs), 5.1), dpi=100, layout="constrained")
    axes = figure.subplots(2, len(pairs), squeeze=False)
    for (sample, found, distance), above, below in zip(pairs, *axes, strict=True):
        _show(above, sample, window)
        _show(below, found, window)
        above.set_title(f"distance {distance:.2f}", fontsize=10)
    axes[0, 0].set_ylabel("sample")
    axes[1, 0].set_ylabel("nearest training slice")
    return _figure_png(figure)


def denoising_png(errors: Sequence[DenoisingErrors]) -> bytes:
    """Error in HU over the noise level, a line a prior."""
    figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    ax = figure.subplots()
    for one, style in zip(errors, ("o-", "s--", "^:"), strict=False):
        noise = [math.sqrt((1 - level.alpha_bar) / level.alpha_bar) for level in one.levels]
        ax.loglog(noise, [level.rmse_hu for level in one.levels], style, label=one.prior, markersize=4)
    ax.set(xlabel="noise over signal, $\\sqrt{(1-\\bar\\alpha)/\\bar\\alpha}$", ylabel="RMSE of one-step estimate, HU")
    ax.grid(which="both", alpha=0.3)
    ax.legend()
    return _figure_png(figure)


def curves_png(curves: Sequence[Curve]) -> bytes:
    """A row a run: the losses, and the figures in HU."""
    figure = Figure(figsize=(10, 3.2 * len(curves)), dpi=100, layout="constrained")
    for curve, (left, right) in zip(curves, figure.subplots(len(curves), 2, squeeze=False), strict=True):
        for name, values in curve.figures.items():
            if name == "learning_rate":
                continue
            ax = right if "hu" in name.split("_") else left
            shown = [(step, value) for step, value in zip(curve.steps, values, strict=True) if math.isfinite(value)]
            if shown:
                ax.semilogy(*zip(*shown, strict=True), label=name.replace("_", " "), marker=".", markersize=3)
        for ax, what in ((left, "loss"), (right, "HU, validation")):
            ax.set(title=curve.run, xlabel="step", ylabel=what)
            ax.grid(which="both", alpha=0.3)
            if ax.lines:
                ax.legend(fontsize=8)
            else:
                ax.set_axis_off()
    return _figure_png(figure)


def _show(ax: Axes, hu: Slice, window: str) -> None:
    level, width = WINDOWS[window]
    ax.imshow(hu, "gray", vmin=level - width / 2, vmax=level + width / 2, interpolation="nearest")
    ax.set(xticks=[], yticks=[])


def _figure_png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return _png(Image.open(drawn).convert("RGB").quantize(_COLOURS, Image.Quantize.MAXCOVERAGE))


def _png(picture: Image.Image) -> bytes:
    png = io.BytesIO()
    picture.save(png, "PNG", optimize=True)
    return png.getvalue()
