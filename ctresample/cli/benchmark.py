"""``ctresample benchmark``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctresample.choices import BEAMS, SLICE_BEAMS
from ctresample.cli import options
from ctresample.cli.from_settings import Without, with_settings
from ctresample.cli.names import all_known
from ctresample.cli.screen import say, screen
from ctresample.errors import Stopped, UsageError
from ctresample.pipelines.reconstruction.methods import BUNDLED, DEFAULT_PRIOR, METHODS, PRESETS
from ctresample.pipelines.scan.scan import Scan

if TYPE_CHECKING:
    from ctresample.pipelines.benchmark.conditions import Condition
    from ctresample.pipelines.viewer.zoom import Zoom

SCANS, MODELS, TABLE = "Scans: every combination of these", "Learned models", "Table and report"

_LISTED = frozenset({"n_views", "beam", "photons", "stagger"})


@with_settings
def benchmark(
    context: typer.Context,
    dicom: options.DicomImages,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for the results: new, empty, or to go on with.")
    ],
    methods: Annotated[
        str, typer.Option(metavar="NAME,NAME,...", help="Of the methods above.")
    ] = "fbp,sirt,tv,resample",
    preset: Annotated[
        str, typer.Option(metavar="NAME,...", help=f"Of ReSample, one or more: {', '.join(PRESETS)}.")
    ] = "fast",
    views: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...", help=f"Numbers of views. Default: {options.DEFAULT_SCAN.n_views}.", rich_help_panel=SCANS
        ),
    ] = None,
    geometry: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help=f"Of {', '.join(SLICE_BEAMS)}, and with --volume cone. Default: {SLICE_BEAMS[0]}.",
            rich_help_panel=SCANS,
        ),
    ] = None,
    photons: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="Photons sent along each ray; none for no noise. Default: none.",
            rich_help_panel=SCANS,
        ),
    ] = None,
    conditions: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Published scans instead: paper-25, cvg-18, -36 and -72, dm4ct-i to -v, and those as -endpoint.",
            rich_help_panel=SCANS,
        ),
    ] = None,
    stagger: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="With --volume: slices after which the angles repeat, see simulate. Default: 1.",
            rich_help_panel=SCANS,
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(min=1, metavar="N", help="Noise draws: seeds from --seed on.", rich_help_panel=SCANS)
    ] = 1,
    scan: Annotated[Scan, Without(_LISTED)] = options.DEFAULT_SCAN,
    volume: Annotated[
        bool,
        typer.Option(
            "--volume", help="Take each series as a volume, whose slices help each other, and measure flicker, too."
        ),
    ] = False,
    z_coupling: Annotated[
        str | None,
        typer.Option(
            metavar="auto,none,...",
            help="With --volume: how slices help each other, see reconstruct; of several, each is a method. "
            "Default: auto.",
        ),
    ] = None,
    max_slices: Annotated[
        int | None,
        typer.Option(min=1, help="Take only so many slices, in order of path; of each volume those in its middle."),
    ] = None,
    slices_of: Annotated[
        str | None,
        typer.Option(metavar="NAME=N,...", help="Of these methods or presets take only N slices, spread over all."),
    ] = None,
    prior: Annotated[
        str, typer.Option(metavar="NAME_OR_DIR", help=f"Of {options.LATENT_METHODS}.", rich_help_panel=MODELS)
    ] = DEFAULT_PRIOR,
    pixel_prior: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_DIR",
            help=f"Of {options.PIXEL_METHODS}. None comes with ctresample: see prior import and train pixel-prior.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    fbp_unet: Annotated[
        str,
        typer.Option(
            metavar="NAME_OR_DIR",
            help="Of fbp-unet: for one number of views, one beam and one size.",
            rich_help_panel=MODELS,
        ),
    ] = BUNDLED["fbp-unet"],
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Method to compare the others with. Default: tv, if it runs.", rich_help_panel=TABLE
        ),
    ] = None,
    zoom: Annotated[
        str | None,
        typer.Option(
            metavar="ROW,COLUMN,SIZE",
            help="The square to enlarge, from its first pixel. Default: where the baseline errs most.",
            rich_help_panel=TABLE,
        ),
    ] = None,
    tasks: Annotated[
        bool,
        typer.Option(
            "--tasks",
            help="Measure each method on a phantom, too: transfer at three contrasts, noise power, d' (AAPM TG-233).",
            rich_help_panel=TABLE,
        ),
    ] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    batch_size: options.BatchSize = 8,
    any_class: options.AnyClass = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="When going on: try again what failed before, too.")
    ] = False,
) -> None:
    """Compare methods on your own CT images.

    Takes every axial CT slice found there, each on its own: patients and series may be mixed. With --volume it takes
    series whole. Scans it, reconstructs it by each method and compares with the original. Writes OUT/results.csv and
    results.json (a row a slice, method and noise draw), results.md (mean, standard deviation, paired differences with
    confidence intervals) and report.html (pictures); with --tasks tasks.csv, tasks.json and tasks.md. None names a
    patient; the pictures are of the patients.

    A benchmark that was stopped goes on when the command is repeated; what failed is tried again with --retry-failed
    only. Exit status 3: some reconstructions failed, which the report says; the rest is there.
    """
    if not volume:
        for option, words in (("--stagger", stagger), ("--z-coupling", z_coupling)):
            if words is not None:
                raise UsageError(f"{option} concerns neighbouring slices; add --volume, or leave it out")
    elif tasks or slices_of:
        raise UsageError(f"{'--tasks' if tasks else '--slices-of'} is of single slices; leave it or --volume out")
    scans = _conditions(scan, views, geometry, photons, stagger, conditions, BEAMS if volume else SLICE_BEAMS)
    names, presets = (
        all_known("--methods", options.words("--methods", methods), METHODS),
        all_known("--preset", options.words("--preset", preset), PRESETS),
    )
    options.check_effect(context, names)
    if draws > 1 and all(one.photons is None for one in scans) and not any(METHODS[name].is_random for name in names):
        raise UsageError(
            f"--draws is {draws}, but without --photons there is no noise to draw, and {', '.join(names)} draw none "
            "either: every draw would be the same; add --photons, or leave --draws out"
        )
    limits = options.numbers_by_name("--slices-of", slices_of) if slices_of else {}
    region = _zoom(zoom) if zoom else None

    with screen() as show:
        show.progress(0, "loading")
        from ctresample.data_tools.ct_slices import read_ct_slices
        from ctresample.data_tools.ct_volumes import read_ct_volumes
        from ctresample.device import pick_device
        from ctresample.pipelines.benchmark.models import load_models
        from ctresample.pipelines.benchmark.resumable import run_benchmark
        from ctresample.pipelines.benchmark.runs import coupled_runs, runs_of
        from ctresample.pipelines.benchmark.task_table import write_tasks
        from ctresample.pipelines.benchmark.tasks import check_size, measure_tasks

        if tasks:
            check_size(scan.size)
        runs, place = runs_of(names, presets, limits), pick_device(device)
        if volume:
            runs = coupled_runs(runs, options.words("--z-coupling", z_coupling or "auto"))
        reference = ("tv" if "tv" in names else "") if baseline is None else baseline
        models = load_models(runs, {"latent prior": prior, "pixel prior": pixel_prior, "fbp-unet": fbp_unet}, place)
        read = read_ct_volumes if volume else read_ct_slices
        volumes = read(dicom, max_slices=max_slices, any_class=any_class, on_warning=show.note)
        try:
            rows = run_benchmark(
                out,
                volumes,
                runs=runs,
                conditions=scans,
                seeds=range(seed, seed + draws),
                size=scan.size,
                models=models,
                device=place,
                batch_size=batch_size,
                baseline=reference,
                zoom=region,
                by_volume=volume,
                retry_failed=retry_failed,
                progress=show.progress,
            )
            if tasks:
                given: dict[str, Any] = {"size": scan.size, "seed": seed, "models": models, "device": place}
                write_tasks(out, measure_tasks(runs=runs, conditions=scans, **given, progress=show.progress))
        except KeyboardInterrupt:
            raise Stopped(f"interrupted; what was finished is kept in {out}: repeat the command to go on") from None
    from rich.console import Console

    from ctresample.pipelines.benchmark.console import print_summary

    print_summary(rows, Console())
    if n_without := sum(one.photons is None for one in scans):
        say(f"{n_without} of {len(scans)} scans{options.without_noise(None)}")
    measured = f", {out / 'tasks.md'}" if tasks else ""
    say(f"Pictures: {out / 'report.html'}   Tables: {out / 'results.md'}, {out / 'results.csv'}{measured}")
    if failed := [row for row in rows if row.failure]:
        first = failed[0]
        say(
            f"{len(failed)} of {len(rows)} reconstructions failed; the first: {first.label}, {first.slice}: "
            f"{first.failure}; repeat the command with --retry-failed to try them again",
            err=True,
        )
        raise typer.Exit(options.SOME_FAILED)


def _conditions(
    scan: Scan,
    views: str | None,
    geometry: str | None,
    photons: str | None,
    stagger: str | None,
    names: str | None,
    known_beams: Sequence[str],
) -> list[Condition]:
    """Published scans by name, or every combination of views, beams, doses and staggers."""
    given: dict[str, object] = {
        "--views": views,
        "--geometry": geometry,
        "--photons": photons,
        "--stagger": stagger,
    }
    if names is not None:
        given["a scanner's option"] = scan != replace(options.DEFAULT_SCAN, size=scan.size)
        for option, value in given.items():
            if value:
                raise UsageError(f"--conditions names whole scans, so that {option} has no place; leave one out")
        from ctresample.pipelines.benchmark.conditions import CONDITIONS

        wanted = options.words("--conditions", names)
        for name in wanted:
            if name not in CONDITIONS:
                raise UsageError(f"condition is {name!r}; expected one of {', '.join(CONDITIONS)}")
        return [CONDITIONS[name] for name in wanted]
    counts = options.whole_numbers("--views", views or str(scan.n_views))
    beams = options.words("--geometry", geometry or scan.beam)
    for beam in beams:
        if beam not in known_beams:
            of_volumes = ", or with --volume cone" if "cone" not in known_beams else ""
            raise UsageError(f"--geometry has {beam!r}; expected {', '.join(known_beams)}{of_volumes}")
    doses = options.doses("--photons", photons or "none")
    options.check_noise(next((dose for dose in doses if dose), None), scan.electronic_noise)
    from ctresample.pipelines.benchmark.conditions import every_condition

    return every_condition(scan, counts, beams, doses, options.whole_numbers("--stagger", stagger or "1"))


def _zoom(text: str) -> Zoom:
    """The square of ``ROW,COLUMN,SIZE``."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"--zoom is {text!r}; expected ROW,COLUMN,SIZE in pixels, such as 100,80,48")
    from ctresample.pipelines.viewer.zoom import Zoom

    return Zoom(*map(int, parts))
