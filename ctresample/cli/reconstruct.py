"""``ctresample reconstruct``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctresample.cli import deidentification, options
from ctresample.cli.from_settings import with_settings
from ctresample.cli.screen import say, screen
from ctresample.data_tools.reading import PLAIN, Reading
from ctresample.offered import RARE
from ctresample.pipelines.results.options import ResultOptions

if TYPE_CHECKING:
    from ctresample.pipelines.calibration.trust import Trust

FIRST, HELICAL = "What is not yet a sinogram", "Helical scans"
ON_ANY_DEVICE = ResultOptions(device="auto")


@with_settings
def reconstruct(
    context: typer.Context,
    scan: Annotated[
        Path,
        typer.Argument(
            metavar="SCAN",
            exists=True,
            help="Sinogram file, such as scan.h5; another program's, with --geometry; or CT images, with --views.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="New or empty folder for the results.")],
    views: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Of CT images: scan them first, with N views, and compare.", rich_help_panel=FIRST
        ),
    ] = None,
    photons: Annotated[
        float | None,
        typer.Option(
            metavar="N", help="Of that scan along each ray, such as 1e5. Without it: no noise.", rich_help_panel=FIRST
        ),
    ] = None,
    geometry: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Of a scan of another program: JSON or YAML with what it does not say itself; see import.",
            rich_help_panel=FIRST,
        ),
    ] = None,
    series: Annotated[
        str | None,
        typer.Option(metavar="UID|KEY", help="Of CT images, and --against: which, of several.", rich_help_panel=FIRST),
    ] = None,
    result: ResultOptions = ON_ANY_DEVICE,
    against: Annotated[
        Path | None,
        typer.Option(metavar="DICOM", exists=True, help="Where the scanned series is, to compute PSNR, SSIM, RMSE."),
    ] = None,
    every: options.Every = 1,
    size: Annotated[
        int | None,
        typer.Option(
            min=16,
            help="Rows and columns of the image. By default those of the file; learned methods need multiples of 32.",
        ),
    ] = None,
    z_range: Annotated[
        str | None,
        typer.Option(
            "--z-range", metavar="LOW:HIGH", help="The slices between these heights, in mm.", rich_help_panel=HELICAL
        ),
    ] = None,
    slice_step: Annotated[
        float | None,
        typer.Option("--slice-step", min=1e-3, metavar="MM", help="From slice to slice.", rich_help_panel=HELICAL),
    ] = None,
    rebin: Annotated[
        bool,
        typer.Option(
            "--rebin",
            help="Each slice as a fan beam, by single-slice rebinning. A quick preview.",
            rich_help_panel=HELICAL,
        ),
    ] = False,
    deidentify: deidentification.Deidentify = False,
    deidentification_key: deidentification.DeidentificationKey = None,
    retain_device: deidentification.RetainDevice = False,
    reading: Reading = PLAIN,
    pixel_size: Annotated[
        float | None,
        typer.Option(
            "--pixel-size",
            min=1e-6,
            metavar="MM",
            help="Of the image. By default, what keeps the field of view.",
            rich_help_panel=RARE,
        ),
    ] = None,
    batch_size: options.BatchSize = 8,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Keep finished slabs of slices here while at work: after a stop, the same command goes on from them.",
            rich_help_panel=RARE,
        ),
    ] = None,
) -> None:
    """Reconstruct a sinogram into a DICOM series; or scan CT images with few views, reconstruct and compare.

    Slices are taken to be neighbours in a volume, and help each other where they are less than 5 mm apart
    (--z-coupling); ReSample's fast and quality give all the same noise, so that they do not flicker from one to the
    next.

    Writes OUT/dicom/ (a derived CT series with new UIDs, in the study of the source), OUT/report.html (to look at it in
    a browser, without a network) and OUT/run.json (settings, versions, seed, timings, the misfit to the data of each
    slice, and with --against the image quality). In other formats OUT/reconstruction.nii.gz or .nrrd; maps beside it;
    with --deidentify OUT/deidentification.json.
    """
    began = time.perf_counter()
    options.check_effect(context, [result.method])
    from ctresample.files import check_new_folder

    check_new_folder(out)
    with screen() as show:
        show.progress(0, "loading")
        from ctresample.pipelines.results.against import read_source, truth_for
        from ctresample.pipelines.results.run import make_result
        from ctresample.pipelines.scan.measured import measured

        heights_mm = None if z_range is None else options.interval(z_range)
        deidentifier = deidentification.chosen_deidentifier(deidentify, deidentification_key, retain_device)
        found = measured(
            scan,
            n_views=views,
            photons=photons,
            sidecar=geometry,
            series=None if against else series,
            reading=reading,
            seed=result.seed,
            z_range_mm=heights_mm,
            every=every,
            on_note=show.note,
            progress=show.progress,
        )
        if found.source and photons is None:
            show.note(f"{scan}: {views} views{options.without_noise(photons)}")
        sinogram = found.sinogram.on_grid(size, pixel_size)
        if z_range is not None or slice_step is not None or rebin:
            from ctresample.pipelines.scan.helical_slices import single_slice_rebinned, with_slices

            sinogram = with_slices(sinogram, heights_mm, slice_step)
            sinogram = single_slice_rebinned(sinogram) if rebin else sinogram
        sinogram = sinogram.every(every)
        source = read_source(against, sinogram, show.note, series) if against else found.source
        truth = truth_for(sinogram, source) if source else None
        made = make_result(
            sinogram,
            result,
            out,
            truth_hu=truth,
            deidentifier=deidentifier,
            batch_size=batch_size,
            began=began,
            parts_folder=resume,
            progress=show.progress,
        )
        for note in made.notes:
            show.note(note)
        for doubt in made.reconstruction.doubts:
            show.doubt(doubt)
        if made.note:
            show.note(made.note)
    ratios = made.reconstruction.residual_ratio
    n, ratio = len(ratios), sum(ratios) / len(ratios)
    slices = f"{n} slice{'s'[: n > 1]}"
    say(f"{out}: {slices} by {result.method}, data residual {ratio:.2f} of what the noise predicts")
    if made.metrics:
        mean, data_range = made.metrics["mean"], made.metrics["data_range_hu"]
        say(
            f"PSNR {mean['psnr_db']:.2f} dB over {data_range:g} HU, SSIM {mean['ssim']:.3f}, "
            f"RMSE {mean['rmse_hu']:.1f} HU (means over slices)"
            + (f"; neighbours differ {made.metrics['flicker']:.2f} times as much as they should" if n > 1 else "")
        )
    _tell_trust(made.trust)
    say(f"Pictures: {out / 'report.html'}")
    for one in made.maps:
        if one.kind not in ("lower", "upper"):
            say(f"{one.kind} map: root mean square {one.rms_hu:.1f} HU over the image")


def _tell_trust(trust: Trust) -> None:
    """Print what is known of the image without a truth; nothing where no calibration fits and none was asked for."""
    if trust.bounds_in_words:
        say(trust.bounds_in_words)
    if trust.interval:
        units = trust.interval.units
        one = len(set(units.values())) == 1
        over = list(units.values())[:1] if one else [f"{name} {unit}" for name, unit in units.items()]
        say(
            f"{trust.interval.coverage} % intervals, mean half-width {trust.interval.mean_hu:.0f} HU, calibrated over "
            f"{', '.join(over)}"
        )
    if trust.no_interval:
        say(f"no interval: {trust.no_interval}")
