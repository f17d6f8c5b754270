"""The results table as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from ctresample.data_tools.plain_text import csv_text, csv_word
from ctresample.errors import CTResampleError
from ctresample.files import write_file
from ctresample.paths import StrPath, as_path
from ctresample.result import ResultRow

COLUMNS = tuple(field.name for field in fields(ResultRow))
_KINDS = {field.name: {"str": str, "int": int}.get(str(field.type), float) for field in fields(ResultRow)}


def write_results_csv(path: StrPath, rows: Sequence[ResultRow]) -> None:
    """Write the table: a header, one line a row, UTF-8, six significant digits.

    Args:
        path: the file; replaced whole or not at all.
        rows: the table; may be empty.

    Raises:
        OutputError: the file cannot be written.
    """
    path = as_path(path, "path")
    lines = [[_cell(name, getattr(row, name)) for name in COLUMNS] for row in rows]
    write_file(path, csv_text([COLUMNS, *lines], line_end="\r\n"))  # as in RFC 4180


def read_results_csv(path: StrPath) -> list[ResultRow]:
    """Read a table written by ``write_results_csv``.

    Args:
        path: the file.

    Returns:
        The rows in file order.

    Raises:
        CTResampleError: the file is missing, is not such a table, or a cell is not a number.
    """
    path = as_path(path, "path")
    try:
        # A spreadsheet that saved the table again may have put a byte-order mark in front.
        lines = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CTResampleError(f"cannot read the results table {path}: {error}") from error
    if not lines or tuple(lines[0]) != COLUMNS:
        found = ",".join(lines[0]) if lines else "an empty file"
        raise CTResampleError(f"{path} is no results table: expected the header {','.join(COLUMNS)}, found {found}")
    return [_row(path, number, cells) for number, cells in enumerate(lines[1:], start=1)]


def _cell(name: str, value: str | float) -> str:
    if name == "data_range_hu":
        return repr(float(value)).removesuffix(".0")  # a setting, compared for equality: exact
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _row(path: Path, number: int, cells: list[str]) -> ResultRow:
    if len(cells) != len(COLUMNS):
        raise CTResampleError(f"{path}, row {number}: expected {len(COLUMNS)} cells, found {len(cells)}")
    values: list[str | int | float] = []
    for name, cell in zip(COLUMNS, cells, strict=True):
        try:
            values.append(_KINDS[name](csv_word(cell)))
        except ValueError:
            raise CTResampleError(f"{path}, row {number}: {name} is {cell!r}; expected a number") from None
    return ResultRow(**dict(zip(COLUMNS, values, strict=True)))  # type: ignore[arg-type]  # each of its column's kind
