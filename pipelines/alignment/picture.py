"""A slice before and after its axis was aligned."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from ctresample.files import check_new_file, write_file
from ctresample.geometry import VolumeGrid
from ctresample.pipelines.alignment.alignment import Alignment
from ctresample.sinogram import Sinogram
from ctresample.solvers.fbp import fbp
from ctresample.solvers.fdk import fdk
from ctresample.solvers.wfbp import wfbp
from ctresample.units import mu_to_hu

_SOLVERS: dict[str, Callable[..., torch.Tensor]] = {"cone": fdk, "helical": wfbp}


def write_picture(sinogram: Sinogram, alignment: Alignment, path: Path) -> None:
    """Draw the middle slice by filtered back projection with the axis of the file, and with the one found.

    Args:
        sinogram: as it was.
        alignment: what was found of it.
        path: a new PNG file.
    """
    from matplotlib.figure import Figure

    check_new_file(path)
    shown = _middle(sinogram)
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    for ax, one, title in zip(
        figure.subplots(1, 2),
        (shown, alignment.apply(shown)),
        (
            f"axis as in the file ({alignment.parameter} {alignment.before_mm:.4g})",
            f"aligned ({alignment.found_mm:.4g})",
        ),
        strict=True,
    ):
        y = one.geometry.as_batch(torch.from_numpy(one.values))
        solver = _SOLVERS.get(one.geometry.name, fbp)
        mu = solver(y, one.geometry, one.grid, window="hann", mu_water_per_mm=one.mu_water_per_mm)
        hu = mu_to_hu(mu, one.mu_water_per_mm).numpy().reshape(-1, *one.grid.shape[-2:])
        ax.imshow(hu[len(hu) // 2], cmap="gray", vmin=-1000, vmax=1000, interpolation="nearest")
        ax.set_title(title)
        ax.set_axis_off()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_file(path, content.getvalue())


def _middle(sinogram: Sinogram) -> Sinogram:
    """The slice in the middle alone; of a cone beam the one nearest to the source's circle."""
    if sinogram.grid.is_volume:
        whole = cast(VolumeGrid, sinogram.grid)
        _, rows, columns = whole.shape
        x, y, z = whole.centre_mm
        height = 0.0 if sinogram.geometry.name == "cone" else z
        grid = replace(whole, shape=(1, rows, columns), centre_mm=(x, y, height))
        return replace(sinogram, grid=grid, headers=())
    middle = len(sinogram.values) // 2
    bad = sinogram.bad_rays
    return replace(
        sinogram,
        values=sinogram.values[middle : middle + 1],
        headers=(),
        slice_offsets_mm=None,
        bad_rays=None if bad is None else bad[middle : middle + 1],
    )
