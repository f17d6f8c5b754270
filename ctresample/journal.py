"""Long work that goes on where it was stopped: its journal, its settings, and one process at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from ctresample.errors import OutputError
from ctresample.files import as_output_error
from ctresample.finite_json import finite

LOCK_NAME = "work.lock"
_ADVICE = "make space or give access, then repeat the command"


class Journal:
    """A file with a line of JSON for each thing done, added and never changed.

    Each line is on the disk before the work goes on. A last line without its end, as a crash leaves it, is taken off.

    Args:
        path: the file, new or of an earlier run; this process alone works on it.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with as_output_error(path, _ADVICE):
            if path.exists():
                os.truncate(path, _whole_length(path.read_bytes()))
            self._file = path.open("ab")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def add(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Add one line; it is on the disk when this returns.

        Returns:
            The record as JSON can hold it.

        Raises:
            OutputError: it cannot be written.
        """
        line: dict[str, Any] = finite(record)
        with as_output_error(self._path, _ADVICE):
            self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        return line


def read_journal(path: Path) -> list[Any]:
    """The lines of a journal, none where there is none; without the last if it has no end.

    Raises:
        OutputError: it cannot be read, or a line is no JSON.
    """
    with as_output_error(path, _ADVICE):
        content = path.read_bytes() if path.exists() else b""
    records = []
    for number, line in enumerate(content[: _whole_length(content)].splitlines(), start=1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise OutputError(
                f"{path}, line {number}: {error}; delete this line to have its work done again, or choose a new folder"
            ) from None
    return records


def same_settings(
    folder: Path, what: str, before: Mapping[str, Any], now: Mapping[str, Any], *, grows: Collection[str] = ()
) -> dict[str, Any]:
    """The settings of an earlier run and this one together.

    Args:
        folder: of the results.
        what: they are of: "batch".
        before: JSON that its results follow from.
        now: the same of this run.
        grows: names of settings whose entries may be more, or fewer, than those of the earlier run.

    Raises:
        OutputError: they differ: the first difference is named.
    """
    merged = dict(now)
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if name in grows and isinstance(old, dict) and isinstance(new, dict):
            merged[name] = old | new
            old = {key: value for key, value in old.items() if key in new}
            new = {key: value for key, value in new.items() if key in old}
        if old != new:
            raise OutputError(
                f"{folder} holds a {what} of another {first_difference(name, old, new)}; choose a new folder, or the "
                "same settings to go on"
            )
    return merged


def first_difference(name: str, old: Any, new: Any) -> str:
    """Follow two values that differ down to where they do: ``scan photons: 1e5 there, 1e4 now``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            if old.get(key) != new.get(key):
                return first_difference(f"{name} {key}".strip(), old.get(key), new.get(key))
    return f"{name}: {_short(old)} there, {_short(new)} now"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a folder's lock while the block runs; the system lets go of it however the process ends.

    Args:
        folder: of results.

    Raises:
        OutputError: another process holds it, or the folder cannot be written.
    """
    lock = FileLock(folder / LOCK_NAME, timeout=0)
    with as_output_error(folder):
        try:
            lock.acquire()
        except Timeout as error:
            raise OutputError(
                f"{folder} is being worked on by another process; wait for its end, or choose another folder"
            ) from error
    try:
        yield
    finally:
        lock.release()


def _whole_length(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
