"""The log of a training run as curves."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from ctresample.errors import UsageError
from ctresample.pipelines.training.curves import CURVES

LOGS = (CURVES, "log.csv")
"""Names of a run's log: of today, and of runs of version 0.1."""


@dataclass(frozen=True)
class Curve:
    """What a run logged.

    Attributes:
        run: name of its folder.
        steps: optimiser steps, increasing.
        figures: by name, a value at each step; NaN where it was not measured.
    """

    run: str
    steps: tuple[int, ...]
    figures: dict[str, tuple[float, ...]]


def read_curve(folder: Path) -> Curve:
    """The log of a run folder.

    Raises:
        UsageError: there is no log, or it is no table of numbers by ``step``.
    """
    path = next((folder / name for name in LOGS if (folder / name).is_file()), folder / LOGS[0])
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        names = [name for name in rows[0] if name != "step"]
        steps = tuple(int(row["step"]) for row in rows)
        figures = {name: tuple(float(row[name] or math.nan) for row in rows) for name in names}
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); expected the folder of a training run") from None
    except (ValueError, KeyError, IndexError, TypeError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{path} is no training log ({type(error).__name__} {error}); expected a column step and columns of numbers"
        ) from None
    return Curve(folder.resolve().name, steps, figures)
