"""``ctresample reconstruct``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctresample.cli import deidentification, options
from ctresample.cli.screen import say, screen
from ctresample.pipelines.methods import METHODS

if TYPE_CHECKING:
    from ctresample.result import Reconstruction


def reconstruct(
    scan: Annotated[
        Path, typer.Argument(metavar="SCAN", exists=True, dir_okay=False, help="Sinogram file, such as scan.h5.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="New or empty folder for the results.")],
    method: options.Method = "resample",
    preset: options.Preset = "fast",
    every: options.Every = 1,
    window: options.FbpWindow = "hann",
    model: options.FitModel = "line-integrals",
    tube_kilovolts: options.TubeKilovolts = None,
    prior: options.Prior = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    against: Annotated[
        Path | None,
        typer.Option(metavar="DICOM", exists=True, help="Where the scanned series is, to compute PSNR, SSIM, RMSE."),
    ] = None,
    batch_size: options.BatchSize = 8,
    formats: options.Formats = "dicom",
    residual_map: options.ResidualMap = False,
    uncertainty: options.Uncertainty = None,
    deidentify: deidentification.Deidentify = False,
    deidentification_key: deidentification.DeidentificationKey = None,
    retain_device: deidentification.RetainDevice = False,
) -> None:
    """Reconstruct a sinogram into a DICOM series.

    Slices are taken to be neighbours in a volume: ReSample's fast and quality give all the same noise, so that they do
    not flicker from one to the next.

    Writes OUT/dicom/ (a derived CT series with new UIDs, in the study of the source) and OUT/run.json (settings,
    versions, seed, timings, the misfit to the data of each slice, and with --against the image quality). In other
    formats OUT/reconstruction.nii.gz or .nrrd; maps beside it; with --deidentify OUT/deidentification.json.
    """
    began = time.perf_counter()
    wanted = options.formats(formats)
    options.check_uncertainty(method, uncertainty)
    chosen = METHODS[method]
    from ctresample.files import whole_folder

    with screen() as show, whole_folder(out) as folder:
        show.progress(0, "loading")
        from ctresample.data_tools.deidentify import UNDATED
        from ctresample.data_tools.sinogram_file import read_sinogram
        from ctresample.device import pick_device
        from ctresample.pipelines.against import compare, read_source, truth_for
        from ctresample.pipelines.deidentification_report import REPORT_NAME, write_report
        from ctresample.pipelines.loaded_prior import LoadedPrior
        from ctresample.pipelines.physics import Physics
        from ctresample.pipelines.reconstruct import reconstruct as solve
        from ctresample.pipelines.reconstruction_run import write_record
        from ctresample.pipelines.result_images import check_export, write_images
        from ctresample.pipelines.result_maps import result_maps

        deidentifier = deidentification.chosen_deidentifier(deidentify, deidentification_key, retain_device)
        place = pick_device(device)
        sinogram = read_sinogram(scan).every(every)
        truth = truth_for(sinogram, read_source(against, sinogram, show.note)) if against else None
        if deidentifier:
            sinogram = deidentifier.sinogram(sinogram)  # not before the source was found, by its own UID
        check_export(sinogram, wanted)
        learned = LoadedPrior.load(prior or chosen.bundled_model(), place, chosen.needs) if chosen.needs else None
        physics = Physics(model, tube_kilovolts)
        n, n_views, n_runs = sinogram.n_slices, sinogram.geometry.n_views, uncertainty or 1
        slices = f"{n} slice{'s'[: n > 1]}"
        step = f"{method}, {slices}, {n_views} views"
        show.progress(0, step)
        loaded = time.perf_counter()

        def run(number: int) -> Reconstruction:
            return solve(
                sinogram,
                method=method,
                preset=preset,
                prior=learned.model if learned else None,
                seed=seed + number,
                window=window,
                physics=physics,
                device=place,
                batch_size=batch_size,
                progress=lambda fraction: show.progress((number + fraction) / n_runs, step),
            )

        result = run(0)
        made = result_maps(
            sinogram,
            result,
            run,
            seed=seed,
            residual=residual_map,
            uncertainty=uncertainty,
            physics=physics,
            device=place,
            batch_size=batch_size,
        )
        show.progress(1, "writing")
        solved = time.perf_counter()
        metrics = None if truth is None else compare(result.image_hu, truth)
        created = UNDATED if deidentifier else None
        write_images(folder, result, sinogram, learned, formats=wanted, maps=made, created=created)
        seconds = {"load": loaded - began, "reconstruct": solved - loaded, "write": time.perf_counter() - solved}
        write_record(
            folder,
            result,
            sinogram,
            prior=learned,
            device=str(place),
            seconds=seconds,
            metrics=metrics,
            maps=made,
            created=created,
        )
        if deidentifier:
            show.note(write_report(folder / REPORT_NAME, deidentifier))
    ratio = sum(result.residual_ratio) / n
    say(f"{out}: {slices} by {method}, data residual {ratio:.2f} of what the noise predicts")
    if metrics:
        mean = metrics["mean"]
        say(
            f"PSNR {mean['psnr_db']:.2f} dB over {metrics['data_range_hu']:g} HU, SSIM {mean['ssim']:.3f}, "
            f"RMSE {mean['rmse_hu']:.1f} HU (means over slices)"
        )
    for one in made:
        say(f"{one.kind} map: root mean square {one.rms_hu:.1f} HU over the image")
