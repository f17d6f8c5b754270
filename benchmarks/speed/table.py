"""The figures of the speed benchmark as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from timing import Spread, ratios

OURS = "ctresample"
GOALS = {"ASTRA CPU": 25.0, "scikit-image": 40.0}
"""How many times faster than each ours shall be at 8 slices, at equal or better accuracy."""
MATRIX_GOAL = 5.0
"""How many times faster than ASTRA's export our matrix shall be built."""
AS_GOOD = 1.02
"""Errors up to this factor apart count as equal: what is left is the phantom's own, in pixels."""


@dataclass(frozen=True)
class Case:
    """One scan."""

    beam: str
    size: int
    views: int
    slices: int

    def __str__(self) -> str:
        return (
            f"{self.beam}, {self.size} × {self.size}, {self.views} views, {self.slices} slice{'s'[: self.slices - 1]}"
        )


@dataclass(frozen=True)
class Row:
    """What one contestant did in one case, or why it did not; seconds a call, one sample a round."""

    case: Case
    contestant: str
    forward_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    error: float | None = None
    adjoint_error: float | None = None
    absent: str | None = None

    @property
    def both_s(self) -> list[float]:
        return [f + b for f, b in zip(self.forward_s, self.back_s, strict=True)]


@dataclass(frozen=True)
class MatrixRow:
    """Seconds to build the matrix of one parallel scan, one sample a round."""

    size: int
    views: int
    ours_s: list[float]
    with_transpose_s: list[float]
    astra_s: list[float]


def markdown(header: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    """A table whose columns also line up as plain text."""
    lines = [list(header), *map(list, cells)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines)


def projector_table(rows: Sequence[Row]) -> str:
    """Every row; "times ours" compares forward and back projection together."""
    header = ("case", "projector", "forward ms", "back ms", "times ours", "error", "adjoint error")
    ours = {row.case: row for row in rows if row.contestant == OURS and not row.absent}
    cells = []
    for row in rows:
        start = [str(row.case), row.contestant]
        if row.absent:
            cells.append([*start, row.absent, "", "", "", ""])
            continue
        forward, back = (milliseconds(Spread.of(samples).times(1e3)) for samples in (row.forward_s, row.back_s))
        base = ours.get(row.case)
        cells.append(
            [*start, forward, back, short(ratios(row.both_s, base.both_s)) if base else "",
             f"{row.error:.2e}", f"{row.adjoint_error:.0e}"]
        )  # fmt: skip
    return markdown(header, cells)


def matrix_table(rows: Sequence[MatrixRow]) -> str:
    header = ("parallel scan", "ours s", "with transpose s", "ASTRA s", "ASTRA times ours")
    return markdown(
        header,
        [
            [
                f"{row.size} × {row.size}, {row.views} views",
                *(f"{Spread.of(s).median:.2f}" for s in (row.ours_s, row.with_transpose_s, row.astra_s)),
                short(ratios(row.astra_s, row.ours_s)),
            ]
            for row in rows
        ],
    )


def verdicts(rows: Sequence[Row], matrix_rows: Sequence[MatrixRow]) -> list[str]:
    """One line a goal, over all cases with 8 slices."""
    by_case = {(row.case, row.contestant): row for row in rows if not row.absent}
    lines = []
    for peer, goal in GOALS.items():
        pairs = [
            (theirs, by_case[case, OURS])
            for (case, name), theirs in by_case.items()
            if name == peer and case.slices == 8 and (case, OURS) in by_case
        ]
        if not pairs:
            continue
        factors = [ratios(theirs.both_s, ours.both_s).median for theirs, ours in pairs]
        as_good = sum((ours.error or 0) <= AS_GOOD * (theirs.error or 0) for theirs, ours in pairs)
        lines.append(
            f"8 slices, {peer}: {_verdict(factors, goal)}; error equal or smaller in {as_good} of {len(pairs)} cases"
        )
    if matrix_rows:
        factors = [ratios(row.astra_s, row.ours_s).median for row in matrix_rows]
        lines.append(f"matrix, ASTRA's export: {_verdict(factors, MATRIX_GOAL)}")
    return lines


def _verdict(factors: Sequence[float], goal: float) -> str:
    reached = sum(factor >= goal for factor in factors)
    return (
        f"{statistics.median(factors):.0f} times our time ({min(factors):.1f} to {max(factors):.1f}); "
        f"goal {goal:.0f} reached in {reached} of {len(factors)} cases"
    )


def milliseconds(spread: Spread) -> str:
    return f"{_number(spread.median)} ({_number(spread.lowest)}–{_number(spread.highest)})"


def short(spread: Spread) -> str:
    """Of ratios."""
    return f"{spread.median:.1f} ({spread.lowest:.1f}–{spread.highest:.1f})"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
