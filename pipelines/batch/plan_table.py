"""The plan of a batch on the terminal."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ctresample.data_tools.plain_text import shown
from ctresample.pipelines.batch.estimate import Pace
from ctresample.pipelines.batch.plan import Plan, free_bytes, in_bytes


def print_plan(plan: Plan, pace: Pace, out: Path, n_workers: int, console: Console) -> None:
    """Print a row a series, then what it comes to; nothing of it tells of a patient."""
    table = Table(box=None, pad_edge=False)
    for heading in ("number", "key", "series", "what happens", "time", "disk"):
        table.add_column(heading, justify="right" if heading in ("number", "time", "disk") else "left")
    for number, row in enumerate(plan.rows, start=1):
        runs = row.action == "run"
        what = ": ".join(filter(None, ("runs" if runs else row.action, row.reason)))
        time = in_words(row.found.n_slices * pace.seconds_per_slice) if runs and pace.seconds_per_slice else ""
        table.add_row(
            str(number), row.found.key, row.found.words, shown(what), time, in_bytes(row.found.n_bytes) if runs else ""
        )
    console.print(table, markup=False)
    for line in _sums(plan, pace, out, n_workers):
        console.print(shown(line), markup=False, highlight=False, soft_wrap=True)


def _sums(plan: Plan, pace: Pace, out: Path, n_workers: int) -> list[str]:
    runs = plan.to_run
    n_slices = sum(row.found.n_slices for row in runs)
    lines = [f"{len(runs)} of {len(plan.rows)} series to run, {n_slices} slices"]
    if pace.seconds_per_slice:
        at_once = min(n_workers, max(1, len(runs)))
        words = in_words(n_slices * pace.seconds_per_slice / at_once)
        side_by_side = f", {at_once} at once if they do not slow each other down" if at_once > 1 else ""
        lines[0] += f", about {words} ({pace.words}{side_by_side})"
    lines.append(f"disk: about {in_bytes(plan.n_bytes)} needed, {in_bytes(free_bytes(out))} free")
    if plan.left_out:
        counts = ", ".join(f"{count} {reason}" for reason, count in plan.left_out.items())
        lines.append(f"files left out: {counts}")
    if plan.damaged:
        lines.append(f"damaged files: {len(plan.damaged)}; sources.csv names them, and says which folder a key is")
    return lines


def in_words(seconds: float) -> str:
    """``20 s``, ``5 min``, ``3.5 h``: no more digits than an estimate has."""
    if seconds < 90:
        return f"{max(1, math.ceil(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
