"""The results table: write and read it as CSV, summarise it over slices, print it."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ctresample.errors import CTResampleError, OutputError
from ctresample.result import ResultRow

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = tuple(field.name for field in fields(ResultRow))


@dataclass(frozen=True)
class Figure:
    """A measured column: how it is headed, rounded for reading, and which value is the best.

    Attributes:
        name: the column, an attribute of ``ResultRow`` and of ``SummaryRow``.
        heading: with its unit.
        decimals: shown in tables; the CSV keeps six significant digits.
        best: the highest value, the lowest, or the one nearest to 1 by its logarithm.
    """

    name: str
    heading: str
    decimals: int
    best: Literal["high", "low", "one"]

    def text(self, value: float) -> str:
        """The value as shown to a reader: fixed decimals, a dash where there is none."""
        return "–" if math.isnan(value) else f"{value:.{self.decimals}f}"

    def best_of(self, values: Sequence[float]) -> list[bool]:
        """Mark the best; values that read the same share the mark, and a lone value gets none."""
        costs = [self._cost(value) for value in values]
        return [len(costs) > 1 and cost < math.inf and cost == min(costs) for cost in costs]

    def _cost(self, value: float) -> float:
        if math.isnan(value):
            return math.inf
        shown = round(value, self.decimals)
        if self.best == "one":
            return abs(math.log(shown)) if shown > 0 else math.inf
        return -shown if self.best == "high" else shown


FIGURES = (
    Figure("psnr_db", "PSNR dB", 2, "high"),
    Figure("ssim", "SSIM", 3, "high"),
    Figure("rmse_hu", "RMSE HU", 1, "low"),
    Figure("residual_ratio", "Residual ratio", 2, "one"),
    Figure("seconds", "Seconds", 2, "low"),
)


@dataclass(frozen=True)
class Statistic:
    """Mean over slices and sample standard deviation (n - 1); the latter is NaN for one slice."""

    mean: float
    sd: float


@dataclass(frozen=True)
class SummaryRow:
    """The figures of one method with one preset at one number of views, over ``n`` slices."""

    views: int
    method: str
    preset: str
    n: int
    data_range_hu: float
    psnr_db: Statistic
    ssim: Statistic
    rmse_hu: Statistic
    residual_ratio: Statistic
    seconds: Statistic


def write_results_csv(path: Path, rows: Sequence[ResultRow]) -> None:
    """Write the table: a header, one line a row, UTF-8, six significant digits.

    Args:
        path: the file; replaced whole or not at all.
        rows: the table; may be empty.

    Raises:
        OutputError: the file cannot be written.
    """
    text = io.StringIO(newline="")
    # CRLF as in RFC 4180; it also makes the writer quote a lone carriage return in a name.
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(name, getattr(row, name)) for name in COLUMNS] for row in rows)
    write_text_atomically(path, text.getvalue())


def read_results_csv(path: Path) -> list[ResultRow]:
    """Read a table written by ``write_results_csv``.

    Args:
        path: the file.

    Returns:
        The rows in file order.

    Raises:
        CTResampleError: the file is missing, is not such a table, or a cell is not a number.
    """
    try:
        # A spreadsheet that saved the table again may have put a byte-order mark in front.
        lines = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CTResampleError(f"cannot read the results table {path}: {error}") from error
    if not lines or tuple(lines[0]) != COLUMNS:
        found = ",".join(lines[0]) if lines else "an empty file"
        raise CTResampleError(f"{path} is no results table: expected the header {','.join(COLUMNS)}, found {found}")
    return [_row(path, number, cells) for number, cells in enumerate(lines[1:], start=1)]


def summarise(rows: Sequence[ResultRow]) -> list[SummaryRow]:
    """Mean and standard deviation over slices, for each number of views, method and preset.

    Args:
        rows: the table, in any order.

    Returns:
        Fewest views first, methods in the order they first appear.

    Raises:
        CTResampleError: the rows differ in data range, so that their PSNR and SSIM do not compare.
    """
    ranges = sorted({row.data_range_hu for row in rows})
    if len(ranges) > 1:
        raise CTResampleError(f"the rows have data ranges {ranges} HU; PSNR and SSIM compare only within one")
    groups: dict[tuple[int, str, str], list[ResultRow]] = {}
    for row in rows:
        groups.setdefault((row.views, row.method, row.preset), []).append(row)
    # Sorting is stable: within one number of views the order of first appearance stays.
    return [
        SummaryRow(*key, len(group), ranges[0], *(_statistic([getattr(row, f.name) for row in group]) for f in FIGURES))
        for key, group in sorted(groups.items(), key=lambda item: item[0][0])
    ]


def best_rows(summary: Sequence[SummaryRow], figure: Figure) -> list[bool]:
    """Which rows hold the best mean of a figure, among those with the same number of views.

    Args:
        summary: from ``summarise``, so fewest views first.
        figure: the column to compare.

    Returns:
        One flag a row.
    """
    groups = itertools.groupby(summary, key=lambda row: row.views)
    return [mark for _, group in groups for mark in figure.best_of([getattr(row, figure.name).mean for row in group])]


def print_summary(rows: Sequence[ResultRow], console: Console) -> None:
    """Print mean ± standard deviation for each method, the best of each number of views in bold.

    Args:
        rows: the table.
        console: a rich console.

    Raises:
        CTResampleError: the rows differ in data range.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    summary = summarise(rows)
    table = Table(box=box.SIMPLE_HEAD, caption=_caption(summary), caption_justify="left", collapse_padding=True)
    # On a narrow terminal the deviations go to a second line; names and counts stay whole.
    for heading in ("Views", "Method", "Preset", "n"):
        table.add_column(heading, justify="right" if heading in ("Views", "n") else "left", no_wrap=True)
    columns = []
    for figure in FIGURES:
        table.add_column(figure.heading, justify="right", min_width=max(map(len, figure.heading.split())))
        columns.append([Text(*cell) for cell in _mean_sd_cells(summary, figure)])
    for index, row in enumerate(summary):
        # Text, because a plain string would be read as rich markup: "[red]" is a legal method name.
        names = [Text(name) for name in (str(row.views), row.method, row.preset, str(row.n))]
        last = index + 1 == len(summary) or summary[index + 1].views != row.views
        table.add_row(*names, *(column[index] for column in columns), end_section=last)
    console.print(table)


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text so that a reader, or a crash, finds the old file or the new one, never half.

    Args:
        path: the file, in a folder that exists.
        text: its whole content; line ends are written as they are.

    Raises:
        OutputError: the file cannot be written; an older one is left as it was.
    """
    # Beside the target, for a rename is atomic only within one file system; and not by tempfile,
    # which would leave the result readable by its owner alone.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    except (OSError, UnicodeEncodeError) as error:
        raise OutputError(f"cannot write {path}: {error}; choose a file in a folder that exists") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _cell(name: str, value: str | float) -> str:
    if name == "data_range_hu":
        return repr(float(value)).removesuffix(".0")  # a setting, compared for equality: exact
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _row(path: Path, number: int, cells: list[str]) -> ResultRow:
    if len(cells) != len(COLUMNS):
        raise CTResampleError(f"{path}, row {number}: expected {len(COLUMNS)} cells, found {len(cells)}")
    values: list[str | int | float] = []
    for name, cell in zip(COLUMNS, cells, strict=True):
        kind = {"slice": str, "method": str, "preset": str, "views": int}.get(name, float)
        try:
            values.append(kind(cell))
        except ValueError:
            raise CTResampleError(f"{path}, row {number}: {name} is {cell!r}; expected a number") from None
    return ResultRow(*values)  # type: ignore[arg-type]  # one value a column, each of its column's kind


def _statistic(values: list[float]) -> Statistic:
    if not all(map(math.isfinite, values)):
        return Statistic(sum(values) / len(values), math.nan)
    return Statistic(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan)


def _mean_sd_cells(summary: Sequence[SummaryRow], figure: Figure) -> list[tuple[str, str]]:
    """For each row "mean ±sd" with the decimal points in line, and its style."""
    pairs = [getattr(row, figure.name) for row in summary]
    deviations = ["" if math.isnan(pair.sd) else f"±{figure.text(pair.sd)}" for pair in pairs]
    width = max(map(len, deviations), default=0)
    return [
        (f"{figure.text(pair.mean)} {deviation:>{width}}", "bold green" if best else "")
        for pair, deviation, best in zip(pairs, deviations, best_rows(summary, figure), strict=True)
    ]


def _caption(summary: Sequence[SummaryRow]) -> str:
    if not summary:
        return "No results."
    return (
        f"Mean ± standard deviation over slices; PSNR and SSIM over {summary[0].data_range_hu:g} HU. "
        "Bold: best at that number of views (residual ratio: nearest to 1)."
    )
