"""``ctresample reconstruct``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli import options
from ctresample.cli.screen import screen
from ctresample.pipelines.methods import METHODS


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
        typer.Option(
            metavar="DICOM_DIR", exists=True, file_okay=False, help="The scanned series, to compute PSNR, SSIM, RMSE."
        ),
    ] = None,
    batch_size: options.BatchSize = 8,
) -> None:
    """Reconstruct a sinogram into a DICOM series.

    Slices are taken to be neighbours in a volume: ReSample's fast and quality give all the same noise, so that they do
    not flicker from one to the next.

    Writes OUT/dicom/ (a derived CT series with new UIDs, in the study of the source) and OUT/run.json (settings,
    versions, seed, timings, the misfit to the data of each slice, and with --against the image quality).
    """
    began = time.perf_counter()
    from ctresample.pipelines.output import new_folder

    with screen() as show, new_folder(out) as folder:
        show.progress(0, "loading")
        from ctresample.data_tools.dicom_reader import read_ct_series
        from ctresample.data_tools.sinogram_file import read_sinogram
        from ctresample.device import pick_device
        from ctresample.pipelines.against import compare, truth_for
        from ctresample.pipelines.loaded_prior import LoadedPrior
        from ctresample.pipelines.physics import Physics
        from ctresample.pipelines.reconstruct import reconstruct as solve
        from ctresample.pipelines.reconstruction_run import write_dicom, write_record

        place = pick_device(device)
        sinogram = read_sinogram(scan).every(every)
        truth = truth_for(sinogram, read_ct_series(against, on_warning=show.note)) if against else None
        chosen = METHODS[method]
        learned = LoadedPrior.load(prior or chosen.bundled_model(), place, chosen.needs) if chosen.needs else None
        n, n_views = sinogram.n_slices, sinogram.geometry.n_views
        step = f"{method}, {n} slice{'s'[: n > 1]}, {n_views} views"
        show.progress(0, step)
        loaded = time.perf_counter()
        result = solve(
            sinogram,
            method=method,
            preset=preset,
            prior=learned.model if learned else None,
            seed=seed,
            window=window,
            physics=Physics(model, tube_kilovolts),
            device=place,
            batch_size=batch_size,
            progress=lambda fraction: show.progress(fraction, step),
        )
        show.progress(1, "writing")
        solved = time.perf_counter()
        metrics = None if truth is None else compare(result.image_hu, truth)
        write_dicom(folder, result, sinogram, learned)
        seconds = {"load": loaded - began, "reconstruct": result.seconds, "write": time.perf_counter() - solved}
        write_record(folder, result, sinogram, prior=learned, device=str(place), seconds=seconds, metrics=metrics)
    ratio = sum(result.residual_ratio) / n
    typer.echo(f"{out}: {n} slices by {method}, data residual {ratio:.2f} of what the noise predicts")
    if metrics:
        mean = metrics["mean"]
        typer.echo(
            f"PSNR {mean['psnr_db']:.2f} dB over {metrics['data_range_hu']:g} HU, SSIM {mean['ssim']:.3f}, "
            f"RMSE {mean['rmse_hu']:.1f} HU (means over slices)"
        )
