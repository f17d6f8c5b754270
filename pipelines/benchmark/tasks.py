"""Task measures of methods on a phantom, as in AAPM TG-233: transfer at three contrasts, noise power, detectability."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.data_tools.plain_text import csv_text
from ctresample.errors import UsageError
from ctresample.files import write_file
from ctresample.finite_json import finite
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
from ctresample.pipelines.benchmark.markdown import table
from ctresample.pipelines.benchmark.runs import FAILURES, Run, reason_of
from ctresample.pipelines.reconstruction.methods import METHODS
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.lesion import Lesion
from ctresample.pipelines.scan.room import REFINEMENT
from ctresample.pipelines.work import Progress, Work
from ctresample.result import Labelled
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

FIELD_MM, WATER_MM = 256.0, 200.0
"""Side of the image, and diameter of the cylinder of water in its middle."""

RODS_HU, ROD_MM, ROD_FROM_AXIS_MM = (40.0, 300.0, 1000.0), 28.0, 55.0
"""Contrast of the rods, their diameter, and how far from the middle they stand."""

UNIFORM_MM = 40.0
"""Side of the square in the middle that noise is read from."""

REPEATS = 8
"""Scans of the phantom that differ in their noise."""

DISC_MM = 8.0
"""Diameter of the disc that is to be detected."""

_FAINT_HU = 100.0  # enough for float32, and too little to change the noise

CSV_NAME, JSON_NAME, MARKDOWN_NAME = "tasks.csv", "tasks.json", "tasks.md"


@dataclass(frozen=True, kw_only=True)
class TaskRow(Labelled):
    """One method at one contrast: a line of the table.

    Attributes:
        condition: name of the scan.
        method: the solver.
        preset: its named settings.
        contrast_hu: of the rod that transfer is read from, and of the disc.
        ttf50_per_mm: frequency at which the task transfer function is a half.
        ttf10_per_mm: a tenth.
        noise_hu: standard deviation between repeats, in water.
        average_frequency_per_mm: of the noise.
        detectability: ``d'`` of the non-prewhitening observer for the disc, from both.
        ideal: of the ideal observer in the sinogram, for the disc in the middle.
        failure: why there are no figures; empty where there are.
    """

    condition: str
    method: str
    preset: str
    contrast_hu: float
    ttf50_per_mm: float = math.nan
    ttf10_per_mm: float = math.nan
    noise_hu: float = math.nan
    average_frequency_per_mm: float = math.nan
    detectability: float = math.nan
    ideal: float = math.nan
    failure: str = ""


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
        scan = replace(condition, size=size).scan(_phantom(size * REFINEMENT, repeats), seed=seed)
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


def write_tasks(folder: Path, rows: Sequence[TaskRow]) -> None:
    """Write ``tasks.csv``, ``tasks.json`` and ``tasks.md``.

    Raises:
        OutputError: a file cannot be written.
    """
    columns = [field.name for field in fields(TaskRow)]
    lines = [[f"{v:.6g}" if isinstance(v := getattr(row, name), float) else v for name in columns] for row in rows]
    write_file(folder / CSV_NAME, csv_text([columns, *lines], line_end="\r\n"))
    write_file(folder / JSON_NAME, json.dumps(finite([asdict(row) for row in rows]), indent=1) + "\n")
    header = [
        "scan",
        "method",
        "contrast HU",
        "TTF 50 % 1/mm",
        "TTF 10 % 1/mm",
        "noise HU",
        "noise 1/mm",
        "d′",
        "ideal d′",
    ]
    cells = [
        [row.condition, row.label, f"{row.contrast_hu:+g}", *([row.failure] * bool(row.failure) or _shown(row))]
        for row in rows
    ]
    text = "\n".join(table(header, [one + [""] * (len(header) - len(one)) for one in cells]))
    write_file(
        folder / MARKDOWN_NAME,
        f"# Task measures of a phantom\n\nA cylinder of water of {WATER_MM:g} mm with three rods, scanned {REPEATS} "
        f"times (AAPM TG-233). d′: a disc of {DISC_MM:g} mm of that contrast, by the non-prewhitening observer from "
        "TTF and noise power, and by the ideal observer in the sinogram, which no observer of an image beats. A "
        "nonlinear method has no single transfer function: beside anatomy it may do something else, and where its d′ "
        f"is above the ideal one, that is why.\n\n{text}\n",
    )


def _shown(row: TaskRow) -> list[str]:
    values = (
        row.ttf50_per_mm,
        row.ttf10_per_mm,
        row.noise_hu,
        row.average_frequency_per_mm,
        row.detectability,
        row.ideal,
    )
    return ["–" if math.isnan(v) else f"{v:.{d}f}" for v, d in zip(values, (3, 3, 1, 3, 1, 1), strict=True)]


def _places_mm() -> list[tuple[float, float]]:
    angles = [math.pi / 2 + 2 * math.pi * k / len(RODS_HU) for k in range(len(RODS_HU))]
    return [(ROD_FROM_AXIS_MM * math.cos(angle), ROD_FROM_AXIS_MM * math.sin(angle)) for angle in angles]


def _phantom(size: int, repeats: int) -> Volume:
    """The same slice so many times: each scan of it draws its own noise."""
    grid = ImageGrid((size, size), FIELD_MM / size)
    hu = -1000 + Lesion(WATER_MM, 1000.0, (0.0, 0.0)).on(grid, 1.0)
    for contrast_hu, at_mm in zip(RODS_HU, _places_mm(), strict=True):
        hu = hu + Lesion(ROD_MM, contrast_hu, at_mm).on(grid, 1.0)
    step = grid.pixel_size_mm
    return Volume(np.repeat(hu[None], repeats, axis=0), np.diag([step, step, 1.0, 1.0]))


def _ideal_per_hu(scan: Sinogram, clean: Condition) -> float:
    """Detectability of the disc of 1 HU in the data: seen on the simulation's fine pixels, as the scan is."""
    size = clean.size * REFINEMENT
    plain = _phantom(size, 2)
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
    for contrast_hu, (x, y) in zip(RODS_HU, _places_mm(), strict=True):
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
