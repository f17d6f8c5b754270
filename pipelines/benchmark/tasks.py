"""Task measures of methods on a phantom, as in AAPM TG-233: transfer at three contrasts, noise power, detectability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid
from ctresample.observers import (
    LEAST_RADIUS_PX,
    average_frequency,
    noise_power,
    task_detectability,
    task_transfer,
)
from ctresample.operators import make_projector
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.runs import FAILURES, Run, reason_of
from ctresample.pipelines.benchmark.task_phantom import (
    DISC_MM,
    FIELD_MM,
    REPEATS,
    ROD_MM,
    RODS_HU,
    rod_phantom,
    rod_places_mm,
)
from ctresample.pipelines.benchmark.task_table import TaskRow
from ctresample.pipelines.reconstruction.methods import METHODS
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.lesion import Lesion
from ctresample.pipelines.scan.room import REFINEMENT
from ctresample.pipelines.work import Progress, Work
from ctresample.sinogram import Sinogram

UNIFORM_MM = 40.0
"""Side of the square in the middle that noise is read from."""


_FAINT_HU = 100.0  # enough for float32, and too little to change the noise


def measure_tasks(
    *,
    runs: Sequence[Run],
    conditions: Sequence[Condition],
    size: int = 256,
    seed: int = 0,
    models: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> list[TaskRow]:
    """Scan the phantom `REPEATS` times, reconstruct by each method, and measure.

    A method that fails has rows that say why, and the rest goes on. A scan without noise has no noise figures.

    Args:
        runs: the methods.
        conditions: the scans.
        size: rows and columns of the reconstruction.
        seed: of noise and sampling.
        models: learned models by kind.
        device: where to reconstruct.
        progress: told how far the whole is.

    Raises:
        UsageError: the images are too small for the phantom.
    """
    check_size(size)
    models, rows = models or {}, list[TaskRow]()
    work = Work(len(conditions) * (sum(run.cost for run in runs) + 100), progress)
    grid = ImageGrid((size, size), FIELD_MM / size)
    for condition in conditions:
        work.start(f"phantom, {condition.name}", 100)
        repeats = REPEATS if condition.photons else 1
        scan = replace(condition, size=size).scan(rod_phantom(size * REFINEMENT, repeats), seed=seed)
        A = make_projector(scan.geometry, scan.grid, device=device)
        ideal = _ideal_per_hu(scan, replace(condition, size=size, photons=None, electronic_noise=0.0))
        for run in runs:
            work.start(f"{run.label}, phantom, {condition.name}", run.cost)
            of_run: dict[str, Any] = {"condition": condition.name, "method": run.method, "preset": run.preset}
            try:
                images = reconstruct(
                    scan,
                    method=run.method,
                    settings=run.load_settings(),
                    prior=models.get(METHODS[run.method].needs),
                    seed=seed,
                    z_coupling="none",
                    device=device,
                    progress=work.share,
                    projector=A,
                ).image_hu
                rows += _rows(images, grid, of_run, ideal if condition.photons else math.nan)
            except FAILURES as error:
                reason = reason_of(error)
                rows += [TaskRow(**of_run, contrast_hu=hu, failure=reason) for hu in RODS_HU]
    return rows


def check_size(size: int) -> None:
    """`UsageError` for images whose pixels are too large for the phantom's rods."""
    least = math.ceil(2 * LEAST_RADIUS_PX * FIELD_MM / ROD_MM)
    if size < least:
        raise UsageError(f"size is {size}; the phantom's rods need {least} pixels or more")


def _ideal_per_hu(scan: Sinogram, clean: Condition) -> float:
    """Detectability of the disc of 1 HU in the data: seen on the simulation's fine pixels, as the scan is."""
    size = clean.size * REFINEMENT
    plain = rod_phantom(size, 2)
    disc = Lesion(DISC_MM, _FAINT_HU, (0.0, 0.0)).on(ImageGrid((size, size), FIELD_MM / size), 1.0)
    without, with_disc = clean.scan(replace(plain, hu=plain.hu + np.stack([np.zeros_like(disc), disc]))).values
    seen = (with_disc.astype(np.float64) - without) / scan.sigma().mean(0, dtype=np.float64)
    return float(np.linalg.norm(seen)) / _FAINT_HU


def _rows(
    images: NDArray[np.float32], grid: ImageGrid, of_run: Mapping[str, Any], ideal_per_hu: float
) -> list[TaskRow]:
    pixel_mm, mean = grid.pixel_size_mm, images.mean(0, dtype=np.float64)
    middle = slice(*(round((FIELD_MM + sign * UNIFORM_MM) / 2 / pixel_mm) for sign in (-1, 1)))
    noise = noise_power(images[:, middle, middle], pixel_mm) if len(images) > 1 else None
    rows = []
    for contrast_hu, (x, y) in zip(RODS_HU, rod_places_mm(), strict=True):
        at_px = ((FIELD_MM / 2 - y) / pixel_mm - 0.5, (FIELD_MM / 2 + x) / pixel_mm - 0.5)
        transfer = task_transfer(mean, pixel_mm, radius_mm=ROD_MM / 2, at_px=at_px)
        figures: dict[str, Any] = {"ttf50_per_mm": transfer.falls_to(0.5), "ttf10_per_mm": transfer.falls_to(0.1)}
        if noise:
            figures |= {
                "noise_hu": float(np.sqrt(images[:, middle, middle].var(0, ddof=1, dtype=np.float64).mean())),
                "average_frequency_per_mm": average_frequency(noise),
                "detectability": task_detectability(DISC_MM, contrast_hu, transfer, noise),
                "ideal": contrast_hu * ideal_per_hu,
            }
        rows.append(TaskRow(**of_run, contrast_hu=contrast_hu, **figures))
    return rows
