"""Run a batch: hand out the jobs, keep what comes of them, sum it up now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ctresample.data_tools.dicom.discovery import root_of
from ctresample.errors import OutputError, UsageError
from ctresample.files import as_output_error, remove_unfinished
from ctresample.journal import LOCK_NAME, only_one
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.batch.cluster import run_on_cluster
from ctresample.pipelines.batch.job import Job, Outcome
from ctresample.pipelines.batch.manifest import END, MANIFEST_NAME, SKIPPED, START, Manifest
from ctresample.pipelines.batch.plan import Plan
from ctresample.pipelines.batch.result_folder import RESULTS_NAME
from ctresample.pipelines.batch.rows import SummaryRow, summary_rows, write_sources_csv, write_summary_csv
from ctresample.pipelines.batch.run_one import run_one
from ctresample.pipelines.batch.settings import BatchSettings
from ctresample.pipelines.batch.summary_page import facts_of, write_summary_page

SUMMARY_EVERY_S = 60.0

OnStart = Callable[[Job], None]
OnOutcome = Callable[[Outcome, int, float], None]
"""Told of an outcome, how many there are by now, and about how many seconds are left."""


def check_place(out: Path, place: Path) -> None:
    """Refuse a folder that holds something else than a batch, or where results would be found as inputs.

    Raises:
        OutputError: it holds something else.
        UsageError: it lies in the folder that is searched.
    """
    if root_of(place).is_dir() and out.resolve().is_relative_to(root_of(place).resolve()):
        raise UsageError(
            f"{out} lies in {root_of(place)}, where results would be taken for inputs; choose a place outside"
        )
    with as_output_error(out):
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out} is a file; expected a folder; choose another place")
        found = {entry.name for entry in out.iterdir()} if out.exists() else set()
    if found - {LOCK_NAME} and MANIFEST_NAME not in found:
        raise OutputError(f"{out} is not empty and holds no batch; choose a new folder")


@contextmanager
def open_batch(out: Path, settings: Mapping[str, Any], *, threads: int) -> Iterator[Manifest]:
    """Begin a batch in a folder, or go on with it, as the only process that does.

    Raises:
        OutputError: another process works on it, it was begun with other settings, or it cannot be written.
    """
    with as_output_error(out):
        (out / RESULTS_NAME).mkdir(parents=True, exist_ok=True)
    with only_one(out), Manifest(out, settings, threads=threads) as manifest:
        remove_unfinished(out / RESULTS_NAME)
        yield manifest


def run_batch(
    out: StrPath,
    plan: Plan,
    settings: BatchSettings,
    manifest: Manifest,
    *,
    batch_size: int = 8,
    client: Any = None,
    progress: Callable[[float], None] = lambda share: None,
    on_outcome: OnOutcome = lambda outcome, number, left_s: None,
) -> list[SummaryRow]:
    """Work through a plan.

    Args:
        out: folder of the batch.
        plan: what to do.
        settings: with what.
        manifest: of `open_batch`.
        batch_size: slices of a series reconstructed together.
        client: of dask (see `ctresample.pipelines.batch.cluster.cluster`); None for this process.
        progress: told the fraction of all slices that is done.
        on_outcome: told of every series that ended.

    Returns:
        The summary, which is on the disk, too.

    Raises:
        OutputError: results cannot be written; what is finished stays.
    """
    out = as_path(out, "out")
    jobs = _jobs(out, plan, settings, manifest, batch_size)
    n_slices = {job.key: job.n_slices for job in jobs}
    whole, done = max(1, sum(n_slices.values())), 0
    _note_skips(plan, manifest)
    write_sources_csv(out, plan)
    began = summed_up = time.monotonic()

    def start(job: Job) -> None:
        manifest.note(START, key=job.key)

    def share_of_one(job: Job, share: float) -> None:
        progress((done + share * job.n_slices) / whole)

    progress(0)
    outcomes = run_on_cluster(client, jobs, start) if client else _run_here(jobs, start, share_of_one)
    try:
        for number, outcome in enumerate(outcomes, start=1):
            facts = asdict(outcome)
            manifest.note(facts.pop("status"), **facts)
            done += n_slices[outcome.key]
            progress(done / whole)
            on_outcome(outcome, number, (time.monotonic() - began) * (whole / done - 1))
            if time.monotonic() - summed_up > SUMMARY_EVERY_S:
                _sum_up(out, plan, manifest)
                summed_up = time.monotonic()
    except BaseException:
        with suppress(OutputError):  # the first error tells more
            _sum_up(out, plan, manifest)
        raise
    remove_unfinished(out / RESULTS_NAME)  # what killed workers have left
    manifest.note(END)
    return _sum_up(out, plan, manifest)


def _jobs(out: Path, plan: Plan, settings: BatchSettings, manifest: Manifest, batch_size: int) -> list[Job]:
    return [
        Job(
            key=row.found.key,
            source=row.found.source,
            n_slices=row.found.n_slices,
            folder=(out / RESULTS_NAME / row.found.key).absolute(),
            settings=settings,
            created=manifest.begun,
            threads=manifest.threads,
            batch_size=batch_size,
            stamp=row.found.stamp,
        )
        for row in plan.to_run
    ]


def _run_here(jobs: Sequence[Job], on_start: OnStart, progress: Callable[[Job, float], None]) -> Iterator[Outcome]:
    for job in jobs:
        on_start(job)
        yield run_one(job, lambda share, job=job: progress(job, share))  # type: ignore[misc]


def _note_skips(plan: Plan, manifest: Manifest) -> None:
    """Say in the manifest what has no result and why, once."""
    known = {(event["key"], event["reason"]) for event in manifest.events if event["event"] == SKIPPED}
    for row in plan.skipped:
        if (row.found.key, row.reason) not in known:
            manifest.note(SKIPPED, key=row.found.key, reason=row.reason)


def _sum_up(out: Path, plan: Plan, manifest: Manifest) -> list[SummaryRow]:
    rows = summary_rows(plan, manifest.events)
    write_summary_csv(out, rows)
    facts = {"begun": manifest.begun.isoformat(sep=" "), "damaged files": str(len(plan.damaged))}
    write_summary_page(out, rows, facts_of(manifest.events[0]["settings"]) | facts)
    return rows
