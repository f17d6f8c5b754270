"""A whole batch from first to last: look, plan, say so, and work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctresample.errors import UsageError
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.batch.cluster import check_key, check_shared, cluster
from ctresample.pipelines.batch.estimate import Pace
from ctresample.pipelines.batch.inputs import find_inputs
from ctresample.pipelines.batch.job import Outcome
from ctresample.pipelines.batch.machine import Machine, machine_of
from ctresample.pipelines.batch.manifest import check_same, read_events
from ctresample.pipelines.batch.plan import Plan, make_plan
from ctresample.pipelines.batch.rows import SummaryRow
from ctresample.pipelines.batch.run import check_place, open_batch, run_batch
from ctresample.pipelines.batch.select import Selection
from ctresample.pipelines.batch.settings import BatchSettings
from ctresample.pipelines.work import Progress

OnPlan = Callable[[Plan, Pace, int], None]
"""Told the plan, how long a slice takes, and how many series run at once."""

OnOutcome = Callable[[Outcome, int, int, float], None]
"""Told of a series that ended, its number, how many there are, and about how many seconds are left."""


@dataclass(frozen=True, eq=False)
class Done:
    """What a batch came to.

    Attributes:
        plan: what was found and decided.
        rows: the summary, a row a series; none where it was only planned.
    """

    plan: Plan
    rows: Sequence[SummaryRow] = ()


def reconstruct_all(
    place: StrPath,
    out: StrPath,
    settings: BatchSettings,
    *,
    select: Sequence[str] = (),
    dry_run: bool = False,
    trust_sizes: bool = False,
    batch_size: int = 8,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress = lambda share, step: None,
    on_plan: OnPlan = lambda plan, pace, n_workers: None,
    on_outcome: OnOutcome = lambda outcome, number, total, left_s: None,
) -> Done:
    """Reconstruct every series below a place into ``out/series``, or go on with it.

    Args:
        place: folder, zip file or DICOMDIR with DICOM series, sinogram files, or both.
        out: folder for the results: new, empty, or of an earlier call with the same settings.
        settings: what to do with each; its device may be "auto".
        select: words of `Selection`; none for everything.
        dry_run: only plan.
        trust_sizes: of results; else what they hold is looked at.
        batch_size: slices of a series reconstructed together.
        workers: processes on this machine.
        scheduler: address of a dask scheduler whose workers do the work instead.
        progress: told how far it is.
        on_plan: told the plan, before the work.
        on_outcome: told of each series that ended.

    Raises:
        UsageError: arguments that do not fit each other.
        DicomError: there is nothing to work on.
        OutputError: the folder holds something else, or cannot be written; what is finished stays.
    """
    place, out = as_path(place, "place"), as_path(out, "out")
    if scheduler is not None and workers > 1:
        raise UsageError("workers starts processes here, scheduler names others; leave one out")
    selection = Selection(list(select))
    check_place(out, place)
    needs_cluster = scheduler is not None or (workers > 1 and not dry_run)
    with cluster(workers=workers, scheduler=scheduler) if needs_cluster else nullcontext() as client:
        machine = machine_of(place, settings.device, workers=workers, client=client)
        settings = _for_all(settings, machine)
        record, events = settings.record(), read_events(out)
        if events:
            check_same(out, events, record)
        progress(0, "looking for series")
        found = find_inputs(place, settings)
        plan = make_plan(found, out, events, selection, trust_sizes=trust_sizes)
        progress(0, "measuring how long a slice takes")
        on_plan(plan, machine.pace(plan, events, settings, batch_size, client), machine.n_workers)
        if dry_run:
            return Done(plan)
        plan.check_space(out)
        with open_batch(out, record, threads=machine.threads) as manifest:
            if client:
                _check_sight(client, out, settings)
            if len(manifest.events) > len(events) + 1:  # another process has worked on it meanwhile
                plan = make_plan(found, out, manifest.events, selection, trust_sizes=trust_sizes)
            total = len(plan.to_run)
            step = f"{settings.method}, {total} series"
            progress(0, step)
            rows = run_batch(
                out,
                plan,
                settings,
                manifest,
                batch_size=batch_size,
                client=client,
                progress=lambda share: progress(share, step),
                on_outcome=lambda outcome, number, left_s: on_outcome(outcome, number, total, left_s),
            )
    return Done(plan, rows)


def _for_all(settings: BatchSettings, machine: Machine) -> BatchSettings:
    """With the device of the machine, and places that hold for workers in another folder, too."""
    prior, key = settings.prior, settings.deidentification_key
    return replace(
        settings,
        device=machine.device,
        prior=str(Path(prior).absolute()) if prior and Path(prior).is_dir() else prior,
        deidentification_key=key and key.absolute(),
    )


def _check_sight(client: Any, out: Path, settings: BatchSettings) -> None:
    check_shared(client, out)
    if settings.deidentification_key:
        check_key(client, settings.deidentification_key)
