"""The table of a batch: one row a series, from the plan and the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ctresample.data_tools.plain_text import csv_text
from ctresample.files import write_file
from ctresample.pipelines.batch.manifest import DONE, FAILED, last_events
from ctresample.pipelines.batch.plan import Plan, PlanRow
from ctresample.pipelines.batch.preview import PREVIEW_NAME
from ctresample.pipelines.batch.result_folder import RESULTS_NAME

SUMMARY_NAME, SOURCES_NAME = "summary.csv", "sources.csv"


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """One series of the summary.

    Attributes:
        key: of the series.
        status: "done", "failed", "skipped", "not selected" or "waiting".
        series: what it is, without patient data.
        slices: in the result, or to be.
        seconds: wall time.
        residual_ratio: mean over slices; 1 fits the data as well as their noise allows.
        psnr_db: mean over slices against the source, where there is one.
        ssim: the same.
        rmse_hu: the same.
        reason: of a failure or a skip.
        doubts: what is doubtful about the result, and what was said of its source, in sentences.
        folder: of the result, seen from the summary.
        preview: its picture, the same.
    """

    key: str
    status: str
    series: str
    slices: int
    seconds: float | None = None
    residual_ratio: float | None = None
    psnr_db: float | None = None
    ssim: float | None = None
    rmse_hu: float | None = None
    reason: str = ""
    doubts: str = ""
    folder: str = ""
    preview: str = ""


_FIGURES = ("seconds", "residual_ratio", "psnr_db", "ssim", "rmse_hu")


def summary_rows(plan: Plan, events: Sequence[dict[str, Any]]) -> list[SummaryRow]:
    """The rows, failures and skips first, for they want to be looked at."""
    last = last_events(list(events))
    rows = [_row(one, last.get(one.found.key, {})) for one in plan.rows]
    order = ("failed", "skipped", "waiting", "done", "not selected")
    return sorted(rows, key=lambda row: order.index(row.status))


def _row(planned: PlanRow, last: Mapping[str, Any]) -> SummaryRow:
    found, event = planned.found, last.get("event")
    row = SummaryRow(key=found.key, status="waiting", series=found.words, slices=found.n_slices)
    if planned.action in ("skip", "not selected"):
        status = "skipped" if planned.action == "skip" else "not selected"
        return SummaryRow(**asdict(row) | {"status": status, "reason": planned.reason})
    if event == FAILED:
        return SummaryRow(**asdict(row) | {"status": "failed", "reason": last["reason"], "seconds": last["seconds"]})
    if event == DONE:
        folder = f"{RESULTS_NAME}/{found.key}"
        figures = {name: last.get(name) for name in ("slices", *_FIGURES)}
        places = {"folder": folder, "preview": f"{folder}/{PREVIEW_NAME}"}
        doubts = "; ".join([*last.get("doubts", ()), *last.get("notes", ())])
        return SummaryRow(**asdict(row) | figures | places | {"status": "done", "doubts": doubts})
    return row


def write_summary_csv(folder: Path, rows: Sequence[SummaryRow]) -> None:
    """Write ``summary.csv``, whole or not at all; it says nothing of the patient."""
    _write(folder / SUMMARY_NAME, [field.name for field in fields(SummaryRow)], [asdict(row) for row in rows])


def write_sources_csv(folder: Path, plan: Plan) -> None:
    """Write ``sources.csv``: which folder each key stands for, and files that are damaged.

    The one file of a batch that names places of the input, which may be names of patients.
    """
    lines: list[dict[str, Any]] = [{"key": row.found.key, "place": row.found.place} for row in plan.rows]
    lines += [{"key": "damaged", "place": line} for line in plan.damaged]
    _write(folder / SOURCES_NAME, ["key", "place"], lines)


def _write(path: Path, columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> None:
    write_file(path, csv_text([columns, *([line[name] for name in columns] for line in lines)]))
