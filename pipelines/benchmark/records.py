"""Results of a benchmark on disk, kept one by one, so that a run that was stopped in any way goes on."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ctresample.errors import OutputError
from ctresample.files import as_output_error, write_file
from ctresample.finite_json import finite
from ctresample.journal import LOCK_NAME, Journal, only_one, read_journal, same_settings
from ctresample.result import ResultRow

SETTINGS_NAME = "settings.json"
RECORDS_NAME = "results.jsonl"

_FIGURES = {field.name for field in fields(ResultRow) if field.type == "float"}


@contextmanager
def open_records(folder: Path, settings: Mapping[str, Any], *, grows: Collection[str] = ()) -> Iterator[Records]:
    """`Records` of a folder that is missing, empty or of an earlier run, for the only process that works on it.

    Raises:
        OutputError: another process works on it, or it holds something else, or results of other settings.
    """
    with as_output_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
        found = {entry.name for entry in folder.iterdir()}
    if SETTINGS_NAME not in found and found - {LOCK_NAME}:
        raise OutputError(f"{folder} is not empty and holds no benchmark; choose a new folder")
    with only_one(folder), Records(folder, settings, grows=grows) as records:
        yield records


class Records(Journal):
    """The rows of one folder.

    ``settings.json`` says what was asked for; ``results.jsonl`` has a line a row; of several of one reconstruction the
    last counts.

    Args:
        folder: there, and new or of an earlier run.
        settings: all that results follow from, as JSON.
        grows: names of settings whose entries may be more, or fewer, than those of the earlier run.

    Raises:
        OutputError: the folder holds results of other settings: the first difference is named.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, grows: Collection[str] = ()) -> None:
        settings = dict(json.loads(json.dumps(finite(settings))))  # as it will be read
        path = folder / SETTINGS_NAME
        with as_output_error(folder, failures=(OSError, json.JSONDecodeError)):
            before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        if before is not None:
            settings = same_settings(folder, "benchmark", before, settings, grows=grows)
        self.rows = _rows(folder / RECORDS_NAME)
        if settings != before:  # before any row, or rows of a run that was killed here would be of no settings
            write_file(path, json.dumps(settings, indent=1) + "\n")
        super().__init__(folder / RECORDS_NAME)

    def keep(self, row: ResultRow) -> None:
        """Add one more row; it is on the disk when this returns.

        Raises:
            OutputError: it cannot be written.
        """
        self.add(asdict(row))
        self.rows.append(row)


def _rows(path: Path) -> list[ResultRow]:
    rows = []
    for number, record in enumerate(read_journal(path), start=1):
        try:
            rows.append(row_from_record(record))
        except (ValueError, TypeError) as error:
            raise OutputError(f"{path}, line {number}: {error}; delete this line to have it computed again") from None
    return rows


def row_from_record(record: Mapping[str, Any]) -> ResultRow:
    """A row of its JSON, where null stands for what JSON cannot say: infinity of a PSNR, else not a number."""
    values = dict(record)
    for name in _FIGURES & values.keys():
        if values[name] is None:
            perfect = name == "psnr_db" and values.get("rmse_hu") == 0
            values[name] = float("inf") if perfect else float("nan")
    return ResultRow(**values)
