"""``ctresample batch``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctresample.cli import deidentification, options
from ctresample.cli.from_settings import with_settings
from ctresample.cli.reconstruct import ON_ANY_DEVICE
from ctresample.cli.screen import Screen, clock, is_quiet, say, screen
from ctresample.data_tools.reading import PLAIN, Reading
from ctresample.errors import Stopped, UsageError
from ctresample.pipelines.results.options import ResultOptions
from ctresample.pipelines.scan.scan import Scan

if TYPE_CHECKING:
    from ctresample.pipelines.batch.estimate import Pace
    from ctresample.pipelines.batch.job import Outcome
    from ctresample.pipelines.batch.plan import Plan

_FILE_WIDTH = 200  # of the plan where it is no terminal's

MACHINES = "Processes and machines"


@with_settings
def batch(
    context: typer.Context,
    place: Annotated[
        Path,
        typer.Argument(
            metavar="IN", exists=True, help="Folder, zip file or DICOMDIR with DICOM series, sinogram files, or both."
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for the results: new, empty, or to go on with.")
    ],
    result: ResultOptions = ON_ANY_DEVICE,
    select: Annotated[
        str | None,
        typer.Option(
            metavar="WORD,...",
            help="Only these: axial, coronal, sagittal, sinogram, slices>=N, keys as --dry-run shows them.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    trust_sizes: Annotated[
        bool,
        typer.Option(
            "--trust-sizes", help="Of finished series look at sizes and times only; else every byte is compared."
        ),
    ] = False,
    every: options.Every = 1,
    batch_size: options.BatchSize = 8,
    workers: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Series at once on this machine; with GPUs one for each.", rich_help_panel=MACHINES
        ),
    ] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT", help="Of dask.distributed, whose workers do the work.", rich_help_panel=MACHINES
        ),
    ] = None,
    scan: Scan = options.DEFAULT_SCAN,
    reading: Reading = PLAIN,
    deidentify: deidentification.Deidentify = False,
    deidentification_key: deidentification.DeidentificationKey = None,
    retain_device: deidentification.RetainDevice = False,
) -> None:
    """Reconstruct every series below a folder.

    DICOM series are scanned as by simulate and reconstructed, sinogram files are reconstructed as they are. Says first
    what was found, what will run, how long it may take and what is skipped and why. Each series gets a folder
    OUT/series/KEY with a derived DICOM series, run.json, report.html and a picture; in other formats and with maps
    what reconstruct writes. OUT/summary.html and summary.csv tell of all.

    A batch that was stopped in any way goes on when the command is repeated: what is finished is kept, what was in
    work and what failed is done again, and the results are those of an undisturbed run. Exit status 3: some series
    failed, or were skipped for a fault, or files are damaged; the summary says which, and the rest is there.
    """
    if scheduler is not None and workers > 1:
        raise UsageError("--workers starts processes here, --scheduler names others; leave one out")
    if deidentify != (deidentification_key is not None):
        raise UsageError("--deidentify and --deidentification-key go together in a batch: all of it needs one key")
    deidentification.check_retain_device(deidentify, retain_device)
    options.check_effect(context, [result.method])
    options.check_noise(scan.photons, scan.electronic_noise)
    with screen() as show:
        show.progress(0, "loading")
        from ctresample.pipelines.batch.order import reconstruct_all
        from ctresample.pipelines.batch.settings import BatchSettings

        settings = BatchSettings(
            scan=scan,
            every=every,
            **{one.name: getattr(result, one.name) for one in fields(result)},
            **vars(reading),
            deidentification_key=deidentification_key,
            retain_device=retain_device,
        )
        try:
            done = reconstruct_all(
                place,
                out,
                settings,
                select=options.words("--select", select) if select else [],
                dry_run=dry_run,
                trust_sizes=trust_sizes,
                batch_size=batch_size,
                workers=workers,
                scheduler=scheduler,
                progress=show.progress,
                on_plan=lambda plan, pace, n: None if is_quiet() and not dry_run else _tell(plan, pace, out, n, scan),
                on_outcome=lambda *ended: _tell_end(show, *ended),
            )
        except KeyboardInterrupt:
            raise Stopped(f"interrupted; what was finished is kept in {out}: repeat the command to go on") from None
    if dry_run:
        return
    rows = done.rows
    n_done = sum(row.status == "done" for row in rows)
    say(f"{out}: {n_done} of {len(rows)} series done. Look at {out / 'summary.html'}")
    doubtful = sum(bool(row.doubts) for row in rows)
    if doubtful:
        say(f"{doubtful} of them with doubts or notes: see the summary", err=True)
    lost = [row for row in rows if row.status in ("failed", "skipped")]
    if lost or done.plan.damaged:
        parts = [f"{sum(row.status == status for row in lost)} {status}" for status in ("failed", "skipped")]
        say(f"{', '.join(parts)}, {len(done.plan.damaged)} damaged files: see the summary and sources.csv", err=True)
        raise typer.Exit(options.SOME_FAILED)


def _tell(plan: Plan, pace: Pace, out: Path, n_workers: int, scan: Scan) -> None:
    """Print the plan."""
    from rich.console import Console

    from ctresample.pipelines.batch.plan_table import print_plan

    console = Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    print_plan(plan, pace, out, n_workers, console)
    if scan.photons is None and any(row.found.facing != "sinogram" for row in plan.to_run):
        say(f"images are scanned with {scan.n_views} views{options.without_noise(None)}")


def _tell_end(show: Screen, outcome: Outcome, number: int, total: int, left_s: float) -> None:
    """Print that a series ended, and what is doubtful about it."""
    show.note(_told(outcome, number, total, left_s))
    for note in outcome.notes:
        show.note(f"{outcome.key}: {note}")
    for doubt in outcome.doubts:
        show.doubt(f"{outcome.key}: {doubt}")


def _told(outcome: Outcome, number: int, total: int, left_s: float) -> str:
    """A line for a series that ended."""
    left = f" (about {clock(left_s)} left)" if number < total else ""
    if outcome.status == "failed":
        return f"{number} of {total}: {outcome.key} failed: {outcome.reason}{left}"
    n, ratio = outcome.slices, outcome.residual_ratio
    fit = "" if ratio is None else f", data residual {ratio:.2f}"
    return f"{number} of {total}: {outcome.key} done, {n} slice{'s'[: n > 1]} in {outcome.seconds:.1f} s{fit}{left}"
