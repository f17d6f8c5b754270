"""Results of a benchmark on disk, kept one by one, so that a run that was stopped in any way goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ctresample.errors import OutputError
from ctresample.pipelines.finite_json import finite
from ctresample.pipelines.first_difference import first_difference
from ctresample.pipelines.lock import LOCK_NAME, only_one
from ctresample.pipelines.output import as_output_error, write_text_atomically
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
    with only_one(folder):
        records = Records(folder, settings, grows=grows)
        try:
            yield records
        finally:
            records.close()


class Records:
    """The rows of one folder.

    ``settings.json`` says what was asked for; ``results.jsonl`` has a line a row, each on the disk before the next is
    begun; of several of one reconstruction the last counts. A last line without its end, as a crash leaves it, is
    taken off.

    Args:
        folder: there, and new or of an earlier run.
        settings: all that results follow from, as JSON.
        grows: names of settings whose entries may be more, or fewer, than those of the earlier run.

    Raises:
        OutputError: the folder holds results of other settings: the first difference is named.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, grows: Collection[str] = ()) -> None:
        settings = dict(json.loads(json.dumps(finite(settings))))  # as it will be read
        self._path, path = folder / RECORDS_NAME, folder / SETTINGS_NAME
        try:
            before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
            if before is not None:
                settings = _merged(folder, before, settings, grows)
            self.rows = _whole_lines(self._path)
            if settings != before:  # before any row, or rows of a run that was killed here would be of no settings
                write_text_atomically(path, json.dumps(settings, indent=1) + "\n")
            self._file = self._path.open("ab")
        except (OSError, json.JSONDecodeError) as error:
            raise OutputError(
                f"{folder} cannot be written or read ({error}); choose a folder with access and space"
            ) from error

    def add(self, row: ResultRow) -> None:
        """Keep one more row; it is on the disk when this returns.

        Raises:
            OutputError: it cannot be written.
        """
        line = json.dumps(finite(asdict(row)), ensure_ascii=False) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written ({error.strerror}); make space and go on") from error
        self.rows.append(row)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _merged(folder: Path, before: dict[str, Any], now: dict[str, Any], grows: Collection[str]) -> dict[str, Any]:
    """The settings of both runs; `OutputError` naming the first that differs."""
    merged = dict(now)
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if name in grows and isinstance(old, dict) and isinstance(new, dict):
            merged[name] = old | new
            old = {key: value for key, value in old.items() if key in new}
            new = {key: value for key, value in new.items() if key in old}
        if old != new:
            raise OutputError(
                f"{folder} holds a benchmark of another {first_difference(name, old, new)}; choose a new folder, or "
                "the same again to go on"
            )
    return merged


def _whole_lines(path: Path) -> list[ResultRow]:
    """All rows; what follows the last line end is cut off the file."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    rows = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            rows.append(row_from_record(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise OutputError(f"{path}, line {number}: {error}; delete this line to have it computed again") from None
    if whole != content:
        with path.open("r+b") as file:
            file.truncate(len(whole))
            os.fsync(file.fileno())
    return rows


def row_from_record(record: Mapping[str, Any]) -> ResultRow:
    """A row of its JSON, where null stands for what JSON cannot say: infinity of a PSNR, else not a number."""
    values = dict(record)
    for name in _FIGURES & values.keys():
        if values[name] is None:
            perfect = name == "psnr_db" and values.get("rmse_hu") == 0
            values[name] = float("inf") if perfect else float("nan")
    return ResultRow(**values)
