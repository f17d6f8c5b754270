"""The table of task measures: its rows, and the files it is written to."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ctresample.data_tools.plain_text import csv_text
from ctresample.files import write_file
from ctresample.finite_json import finite
from ctresample.pipelines.benchmark.markdown import table
from ctresample.pipelines.benchmark.task_phantom import DISC_MM, REPEATS, WATER_MM
from ctresample.result import Labelled

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
