"""The record of a batch: one line of JSON an event, added and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctresample.data_tools.moment import moment
from ctresample.errors import OutputError
from ctresample.journal import Journal, read_journal, same_settings

MANIFEST_NAME = "manifest.jsonl"

BEGIN, GO_ON, START, DONE, FAILED, SKIPPED, END = "begin", "go on", "start", "done", "failed", "skipped", "end"
"""Events. The first line is the beginning, with the settings; of a series the last line counts."""

_FACTS: dict[str, dict[str, Any]] = {
    BEGIN: {"format": int, "begun": str, "threads": int, "settings": dict},
    GO_ON: {},
    START: {"key": str},
    DONE: {
        "key": str,
        "fingerprint": str,
        "stamp": str,
        "files": int,
        "n_bytes": int,
        "sha256": str,
        "slices": int,
        "seconds": (int, float),
    },
    FAILED: {"key": str, "reason": str, "seconds": (int, float)},
    SKIPPED: {"key": str, "reason": str},
    END: {},
}
_RANGES = {"threads": (1, 4096), "slices": (1, 10**7)}
_FIGURES = ("residual_ratio", "psnr_db", "ssim", "rmse_hu")


class Manifest(Journal):
    """The events of one batch.

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
        self.events = read_events(folder)
        if self.events:
            check_same(folder, self.events, settings)
        begun = moment().isoformat(timespec="seconds")
        super().__init__(folder / MANIFEST_NAME)
        if self.events:
            self.note(GO_ON)
        else:
            self.note(BEGIN, format=1, begun=begun, threads=threads, settings=dict(settings))
        first = self.events[0]
        self.begun, self.threads = datetime.fromisoformat(first["begun"]), int(first["threads"])

    def note(self, event: str, **facts: Any) -> None:
        """Add one event; it is on the disk when this returns.

        Raises:
            OutputError: it cannot be written.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.events.append(self.add({"event": event, "at": at, **facts}))


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The events of the batch in a folder, none where there is none; without the last line if it has no end.

    Raises:
        OutputError: a file of that name that is no manifest.
    """
    path = folder / MANIFEST_NAME
    events = read_journal(path)
    for number, event in enumerate(events):
        wrong = _wrong(event, first=number == 0)
        if wrong:
            what = "is no manifest of a batch" if number == 0 else f"was altered: line {number + 1}"
            raise OutputError(f"{path} {what} ({wrong}); choose a new folder for the results")
    return events


def _wrong(event: Any, *, first: bool) -> str:
    """What is not as `Manifest` writes it; empty if nothing."""
    kind = event.get("event") if isinstance(event, dict) else None
    if kind not in _FACTS or (kind == BEGIN) != first:
        return "another format" if first else "no event"
    for name, kinds in _FACTS[kind].items():
        value = event.get(name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            return f"{name} is missing or of another kind"
        least, most = _RANGES.get(name, (0, 1e15))
        if isinstance(value, int | float) and not least <= value <= most:
            return f"{name} is out of range"
    for name in _FIGURES:
        if not isinstance(event.get(name), int | float | None):
            return f"{name} is no number"
    if first and event["format"] != 1:
        return "another format"
    if first:
        try:
            datetime.fromisoformat(event["begun"])
        except ValueError:
            return "begun is no time"
    return ""


def check_same(folder: Path, events: list[dict[str, Any]], settings: Mapping[str, Any]) -> None:
    """`OutputError` naming the first difference, if a batch began with other settings."""
    same_settings(folder, "batch", events[0]["settings"], settings)


def last_events(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each series, the event that counts, by its key."""
    return {event["key"]: event for event in events if "key" in event}
