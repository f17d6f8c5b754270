"""Slices and scans drawn with matplotlib: what the ``plot`` methods of volumes, results and sinograms do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.units import WINDOWS

if TYPE_CHECKING:
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

_PANEL_INCHES = 4.0


def plot_slices(
    stacks: Mapping[str, NDArray[np.floating[Any]]],
    spacing_mm: tuple[float, float, float],
    *,
    slice_number: int | None = None,
    window: str = "soft tissue",
) -> Figure:
    """One slice of one or more stacks side by side, in HU and mm, with the values' bar.

    Args:
        stacks: title -> ``[slice, y, x]`` in HU, all of one shape.
        spacing_mm: of a column, a row and a slice, as in `ctresample.volume.Volume.spacing_mm`.
        slice_number: from 0; by default the middle one.
        window: a name in `ctresample.units.WINDOWS`.

    Raises:
        UsageError: stacks of different shapes, no such slice or window.
    """
    from matplotlib import pyplot

    if window not in WINDOWS:
        raise UsageError(f"window is {window!r}; expected one of {', '.join(WINDOWS)}")
    shapes = {hu.shape for hu in stacks.values()}
    if len(shapes) != 1:
        raise UsageError(f"the images to plot side by side have shapes {sorted(shapes)}; expected one")
    n, rows, columns = next(iter(shapes))
    number = n // 2 if slice_number is None else slice_number
    if not 0 <= number < n:
        raise UsageError(f"slice_number is {number}; expected 0 to {n - 1}")
    level, width = WINDOWS[window]
    extent = (0, columns * spacing_mm[0], rows * spacing_mm[1], 0)
    size = (_PANEL_INCHES * len(stacks) + 0.8, _PANEL_INCHES)
    figure, axes = pyplot.subplots(1, len(stacks), figsize=size, squeeze=False, sharey=True, layout="compressed")
    for axis, (title, hu) in zip(axes[0], stacks.items(), strict=True):
        drawn = axis.imshow(hu[number], cmap="gray", vmin=level - width / 2, vmax=level + width / 2, extent=extent)
        axis.set(title=f"{title}, slice {number}", xlabel="mm")
    axes[0, 0].set_ylabel("mm")
    figure.colorbar(drawn, ax=list(axes[0]), label=f"HU, {window} window", shrink=0.8)
    return figure


def plot_scan(
    views: NDArray[np.floating[Any]], angles_rad: NDArray[np.floating[Any]], detector_mm: NDArray[np.floating[Any]]
) -> Figure:
    """Line integrals ``[view, detector]``, each view at its angle.

    Args:
        views: line integrals.
        angles_rad: of the views; drawn in degrees, in ascending order.
        detector_mm: where the bins lie, evenly spaced.
    """
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(1.4 * _PANEL_INCHES, _PANEL_INCHES), layout="constrained")
    order = np.argsort(angles_rad)
    angles_deg = np.degrees(np.asarray(angles_rad)[order])
    if len(order) == 1:  # no step to tell the height of its row from
        extent = (detector_mm[0], detector_mm[-1], angles_deg[0] + 0.5, angles_deg[0] - 0.5)
        drawn: ScalarMappable = axis.imshow(views, cmap="gray", aspect="auto", extent=extent)
    else:
        drawn = axis.pcolormesh(detector_mm, angles_deg, views[order], cmap="gray", shading="nearest", rasterized=True)
        axis.invert_yaxis()
    axis.set(xlabel="detector, mm", ylabel="view angle, degrees")
    figure.colorbar(drawn, ax=axis, label="line integral of attenuation")
    return figure
