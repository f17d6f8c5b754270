"""What a batch will do, before it does anything."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ctresample.errors import CTResampleError, OutputError
from ctresample.pipelines.batch.inputs import BatchInput, Found
from ctresample.pipelines.batch.manifest import DONE, FAILED, START, last_events
from ctresample.pipelines.batch.result_folder import RESULTS_NAME, is_whole
from ctresample.pipelines.batch.select import Selection

Action = Literal["run", "finished", "skip", "not selected"]


@dataclass(frozen=True, eq=False)
class PlanRow:
    """One series and what happens to it.

    Attributes:
        found: the series.
        action: "run"; "finished", by an earlier run; "skip", for a reason that the user should know;
            "not selected".
        reason: of a skip, or why it runs again; else empty.
    """

    found: BatchInput
    action: Action
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Plan:
    """All series found, in the order in which they run.

    Attributes:
        rows: one a series.
        left_out: how many files are no input, by reason.
        damaged: one line for each file that should have been a CT image; they name files.
    """

    rows: tuple[PlanRow, ...]
    left_out: Mapping[str, int]
    damaged: tuple[str, ...]

    @property
    def to_run(self) -> list[PlanRow]:
        """The work."""
        return [row for row in self.rows if row.action == "run"]

    @property
    def skipped(self) -> list[PlanRow]:
        """What will have no result for a reason that the user should know."""
        return [row for row in self.rows if row.action == "skip"]

    @property
    def n_bytes(self) -> int:
        """About what the results will take on the disk."""
        return sum(row.found.n_bytes for row in self.to_run)

    def check_space(self, folder: Path) -> None:
        """`OutputError` if the results will not fit on the disk of a folder."""
        free = free_bytes(folder)
        if self.n_bytes > free:
            raise OutputError(
                f"{folder}: the results need about {in_bytes(self.n_bytes)}, but {in_bytes(free)} are free; make "
                "space, choose another disk, or select fewer series"
            )


def make_plan(
    found: Found, out: Path, events: Sequence[dict[str, Any]], selection: Selection, *, trust_sizes: bool = False
) -> Plan:
    """Decide about each series.

    What was in work when an earlier run died goes last: if it was the cause, the others come first.

    Args:
        found: all inputs.
        out: folder of the batch.
        events: of earlier runs.
        selection: what is wanted.
        trust_sizes: of finished series, take sizes and times of the files for proof; else every byte of input and
            result is read.
    """
    last = last_events(list(events))
    rows, seen = [], set[str]()
    for one in found.inputs:
        if one.key in seen:
            rows.append(PlanRow(one, "skip", "another one has the same key; is it there twice?"))
        else:
            rows.append(_row(one, out / RESULTS_NAME / one.key, last.get(one.key), selection, trust_sizes))
        seen.add(one.key)
    deaths = {key: _deaths(events, key) for key, event in last.items() if event["event"] == START}
    rows.sort(key=lambda row: deaths.get(row.found.key, 0) if row.action == "run" else 0)
    return Plan(tuple(rows), found.left_out, found.damaged)


def _row(
    found: BatchInput, folder: Path, last: dict[str, Any] | None, selection: Selection, trust_sizes: bool
) -> PlanRow:
    if not selection.takes(found):
        return PlanRow(found, "not selected")
    if found.problem:
        return PlanRow(found, "skip", found.problem)
    kind = last["event"] if last else None
    if last is None or kind not in (DONE, FAILED, START):
        return PlanRow(found, "run")
    if kind == FAILED:
        return PlanRow(found, "run", "failed before: tried again")
    if kind == START:
        return PlanRow(found, "run", "was in work when an earlier run ended: done again")
    if _has_changed(found, last, trust_sizes):
        return PlanRow(found, "run", "the input has changed since: done again")
    if not is_whole(folder, last, trust_sizes=trust_sizes):
        return PlanRow(found, "run", "the result is no longer whole: done again")
    return PlanRow(found, "finished")


def _has_changed(found: BatchInput, finished: Mapping[str, Any], trust_sizes: bool) -> bool:
    if trust_sizes:
        return found.stamp != finished.get("stamp")
    try:
        return found.fingerprint != finished.get("fingerprint")
    except CTResampleError:  # it will fail in its turn, and say why
        return True


def _deaths(events: Sequence[dict[str, Any]], key: str) -> int:
    """How often a series was begun since it last came to an end."""
    kinds = [event["event"] for event in events if event.get("key") == key]
    return next((n for n, kind in enumerate(reversed(kinds)) if kind != START), len(kinds))


def free_bytes(folder: Path) -> int:
    """Space on the disk of a folder, which need not exist yet."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def in_bytes(n_bytes: float) -> str:
    """``3.2 GB``, in powers of ten as disks are sold."""
    for unit in ("kB", "MB", "GB"):
        n_bytes /= 1000
        if n_bytes < 1000:
            return f"{n_bytes:.1f} {unit}"
    return f"{n_bytes / 1000:.1f} TB"
