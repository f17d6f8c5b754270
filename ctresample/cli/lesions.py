"""``ctresample lesions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli import options
from ctresample.cli.from_settings import Without, with_settings
from ctresample.cli.names import all_known
from ctresample.cli.screen import say, screen
from ctresample.pipelines.reconstruction.methods import BUNDLED, DEFAULT_PRIOR, METHODS, PRESETS
from ctresample.pipelines.scan.scan import Scan

SCANS, LESIONS, MODELS = "Scans: every combination of these", "Lesions: every combination of these", "Learned models"

_LISTED = frozenset({"n_views", "photons", "stagger"})


@with_settings
def lesions(
    dicom: options.DicomImages,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="New or empty folder for the results.")],
    methods: Annotated[str, typer.Option(metavar="NAME,NAME,...", help="Of the methods above.")] = "fbp,tv,resample",
    preset: Annotated[
        str, typer.Option(metavar="NAME,...", help=f"Of ReSample, one or more: {', '.join(PRESETS)}.")
    ] = "fast",
    diameters: Annotated[
        str, typer.Option(metavar="MM,MM,...", help="Of the lesions.", rich_help_panel=LESIONS)
    ] = "4,6,8,12",
    contrasts: Annotated[
        str, typer.Option(metavar="HU,HU,...", help="Added to the tissue.", rich_help_panel=LESIONS)
    ] = "-30,20,40,60",
    shape: Annotated[
        str, typer.Option(metavar="disc|sphere", help="Through the slice, or in its middle.", rich_help_panel=LESIONS)
    ] = "disc",
    views: Annotated[str, typer.Option(metavar="N,N,...", help="Numbers of views.", rich_help_panel=SCANS)] = "25",
    photons: Annotated[
        str, typer.Option(metavar="N,N,...", help="Sent along each ray; none for no noise.", rich_help_panel=SCANS)
    ] = "1e5",
    scan: Annotated[Scan, Without(_LISTED)] = options.DEFAULT_SCAN,
    max_slices: Annotated[int | None, typer.Option(min=1, help="Take only so many slices, in order of path.")] = None,
    prior: Annotated[
        str, typer.Option(metavar="NAME_OR_DIR", help=f"Of {options.LATENT_METHODS}.", rich_help_panel=MODELS)
    ] = DEFAULT_PRIOR,
    pixel_prior: Annotated[
        str | None, typer.Option(metavar="NAME_OR_DIR", help=f"Of {options.PIXEL_METHODS}.", rich_help_panel=MODELS)
    ] = None,
    fbp_unet: Annotated[
        str, typer.Option(metavar="NAME_OR_DIR", help="Of fbp-unet.", rich_help_panel=MODELS)
    ] = BUNDLED["fbp-unet"],
    seed: options.Seed = 0,
    device: options.Device = "auto",
    batch_size: options.BatchSize = 8,
    any_class: options.AnyClass = False,
) -> None:
    """Put lesions into your own CT images, scan them, and see which come back.

    Takes every axial CT slice found there, adds discs or spheres of every size and contrast to its soft tissue, scans
    it with them and without (the noise being the same), and reconstructs both by each method. Says how much of each
    lesion's contrast comes back, which lesions are erased, and of which the misfit to the data says nothing (erased in
    silence), nor the 90 % interval, where the prior has a calibration for the scan; and how many false ones a slice
    without lesions has. Writes OUT/lesions.csv (a row a lesion), OUT/lesions.json and OUT/report.html (curves, and
    tables with intervals over patients). None names a patient.

    Exit status 3: some reconstructions failed, which the report says; the rest is there.
    """
    from ctresample.files import check_new_folder

    counts, doses = options.whole_numbers("--views", views), options.doses("--photons", photons)
    options.check_noise(next((dose for dose in doses if dose), None), scan.electronic_noise)
    names = all_known("--methods", options.words("--methods", methods), METHODS)
    presets = all_known("--preset", options.words("--preset", preset), PRESETS)
    kinds = {
        "diameters_mm": options.numbers("--diameters", diameters),
        "contrasts_hu": options.numbers("--contrasts", contrasts),
    }
    check_new_folder(out)
    with screen() as show:
        show.progress(0, "loading")
        from ctresample.data_tools.ct_slices import read_ct_slices
        from ctresample.device import pick_device
        from ctresample.files import whole_folder
        from ctresample.pipelines.benchmark.conditions import every_condition
        from ctresample.pipelines.benchmark.models import load_models
        from ctresample.pipelines.benchmark.runs import runs_of
        from ctresample.pipelines.lesions.places import check_lesions
        from ctresample.pipelines.lesions.report import CSV_NAME, PAGE_NAME, write_study
        from ctresample.pipelines.lesions.rows import SliceRow
        from ctresample.pipelines.lesions.study import study_facts, study_lesions

        found = check_lesions(**kinds, shape=shape)
        scans = every_condition(scan, counts, [scan.beam], doses)
        runs, place = runs_of(names, presets), pick_device(device)
        models = load_models(runs, {"latent prior": prior, "pixel prior": pixel_prior, "fbp-unet": fbp_unet}, place)
        volumes = read_ct_slices(dicom, max_slices=max_slices, any_class=any_class, on_warning=show.note)
        with whole_folder(out) as unfinished:
            rows = list(
                study_lesions(
                    volumes,
                    runs=runs,
                    conditions=scans,
                    **kinds,
                    shape=found,
                    seed=seed,
                    size=scan.size,
                    models=models,
                    prior=prior,
                    device=place,
                    batch_size=batch_size,
                    progress=show.progress,
                )
            )
            write_study(unfinished, rows, study_facts(rows, scans, models, shape=shape, seed=seed, size=scan.size))
    failed = [row for row in rows if isinstance(row, SliceRow) and row.failure]
    say(f"{out}: {len(rows) - sum(isinstance(row, SliceRow) for row in rows)} lesions")
    say(f"Curves: {out / PAGE_NAME}   Table: {out / CSV_NAME}")
    if failed:
        first = failed[0]
        say(f"{len(failed)} failed; the first: {first.label}, {first.slice}: {first.failure}", err=True)
        raise typer.Exit(options.SOME_FAILED)
