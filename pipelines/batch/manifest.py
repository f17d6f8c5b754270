"""The record of a batch: one line of JSON an event, added and never changed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from ctresample.errors import OutputError
from ctresample.pipelines.finite_json import finite
from ctresample.pipelines.first_difference import first_difference

MANIFEST_NAME = "manifest.jsonl"

BEGIN, GO_ON, START, DONE, FAILED, SKIPPED, END = "begin", "go on", "start", "done", "failed", "skipped", "end"
"""Events. The first line is the beginning, with the settings; of a series the last line counts."""


class Manifest:
    """The events of one batch.

    Each is on the disk before the work goes on. A last line without its end, as a crash leaves it, is taken off.

    Args:
        folder: of the batch; it exists, and this process alone works on it.
        settings: JSON that all results follow from.
        threads: for each series, where the batch is new: the last bits of results may follow from it, so that a
            batch keeps the number that it began with.

    Attributes:
        begun: the moment of the beginning, which results bear as their date; for a new batch
            ``SOURCE_DATE_EPOCH`` (seconds since 1970) where the environment has it.
        threads: for each series.
        events: all so far.

    Raises:
        OutputError: the folder holds something else or a batch of other settings, or cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, threads: int) -> None:
        self._path = folder / MANIFEST_NAME
        self.events = read_events(folder)
        if self.events:
            check_same(folder, self.events, settings)
        try:
            if self._path.exists():
                os.truncate(self._path, _whole_length(self._path.read_bytes()))
            self._file = self._path.open("ab")
        except OSError as error:
            raise _unwritable(self._path, error) from error
        if self.events:
            self.add(GO_ON)
        else:
            begun = _moment_of_beginning().isoformat(timespec="seconds")
            self.add(BEGIN, format=1, begun=begun, threads=threads, settings=dict(settings))
        first = self.events[0]
        self.begun, self.threads = datetime.fromisoformat(first["begun"]), int(first["threads"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def add(self, event: str, **facts: Any) -> None:
        """Add one event; it is on the disk when this returns.

        Raises:
            OutputError: it cannot be written.
        """
        line = finite({"event": event, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts})
        try:
            self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self.events.append(line)


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The events of the batch in a folder, none where there is none; without the last line if it has no end.

    Raises:
        OutputError: a file of that name that is no manifest.
    """
    path = folder / MANIFEST_NAME
    try:
        content = path.read_bytes() if path.exists() else b""
        events = [json.loads(line) for line in content[: _whole_length(content)].splitlines()]
        if events and (events[0]["event"] != BEGIN or events[0]["format"] != 1):
            raise ValueError("another format")
    except OSError as error:
        raise _unwritable(path, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is no manifest of a batch ({error}); choose a new folder for the results") from error
    return events


def check_same(folder: Path, events: list[dict[str, Any]], settings: Mapping[str, Any]) -> None:
    """`OutputError` naming the first difference, if a batch began with other settings."""
    if (before := events[0]["settings"]) != settings:
        raise OutputError(
            f"{folder} holds a batch of another {first_difference('', before, dict(settings))}; choose a new folder, "
            "or the same settings to go on"
        )


def last_events(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each series, the event that counts, by its key."""
    return {event["key"]: event for event in events if "key" in event}


def _moment_of_beginning() -> datetime:
    """Now, or the moment that reproducible builds give (reproducible-builds.org/specs/source-date-epoch)."""
    stated = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(stated), UTC) if stated.isdecimal() else datetime.now().astimezone()


def _whole_length(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written or read ({error.strerror}); make space or give access, then repeat the command"
    )
