"""``ctresample calibrate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli import options
from ctresample.cli.from_settings import Without, with_settings
from ctresample.cli.reconstruct import ON_ANY_DEVICE
from ctresample.cli.screen import say, screen
from ctresample.errors import UsageError
from ctresample.offered import RESULTS
from ctresample.pipelines.results.options import ResultOptions
from ctresample.pipelines.scan.scan import Scan

_OF_RESULTS = Without.under(ResultOptions, RESULTS)


@with_settings
def calibrate(
    context: typer.Context,
    place: Annotated[
        Path,
        typer.Argument(
            metavar="SCANS",
            exists=True,
            help="CT images of several patients, which are scanned; or with --against sinogram files.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="FILE", help="New .json file; in PRIOR/calibration/ it is found by itself."
        ),
    ],
    against: Annotated[
        Path | None,
        typer.Option(metavar="DICOM", exists=True, help="Where the CT series are that the sinograms were made from."),
    ] = None,
    slices: Annotated[
        int, typer.Option(min=1, metavar="N", help="Of CT images: slices of each patient at most, evenly spaced.")
    ] = 4,
    result: Annotated[ResultOptions, _OF_RESULTS] = ON_ANY_DEVICE,
    batch_size: options.BatchSize = 8,
    scan: Scan = options.DEFAULT_SCAN,
) -> None:
    """Learn how far off reconstructions of one kind of scan are, from patients whose truth is known.

    The file holds what reconstruct --interval needs, and bounds of PSNR and RMSE for every result of the same prior,
    method, preset and kind of scan. Take patients whom the prior has not been trained on, ten or more: with nine the
    90 % intervals hold on average over new patients, with fewer over slices only.
    """
    options.check_effect(context, [result.method])
    options.check_noise(scan.photons, scan.electronic_noise)
    if against is not None:
        for name in ("slices", "views", "photons", "geometry"):
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise UsageError(f"--{name} is of CT images, but with --against there are sinograms; leave it out")
    elif result.z_coupling not in ("auto", "none"):
        raise UsageError(
            f"--z-coupling {result.z_coupling} is of volumes, but here CT images are scanned slice by slice; use auto "
            "or none"
        )
    from ctresample.files import check_new_file

    check_new_file(out)
    with screen() as show:
        show.progress(0, "loading")
        from ctresample.cleaning import cleaned
        from ctresample.pipelines.calibration.calibration import BOUND
        from ctresample.pipelines.calibration.make import make_calibration
        from ctresample.pipelines.results.known_scans import scans_of_images, scans_with_truths
        from ctresample.pipelines.results.run import load_model, on_its_device, reconstructed

        result = on_its_device(result)
        model = load_model(result)
        if against is None:
            result = replace(result, z_coupling="none")  # slices of one patient are reconstructed together
            scans = scans_of_images(place, scan, per_patient=slices, seed=result.seed, on_warning=show.note)
        else:
            scans = scans_with_truths(place, against, on_warning=show.note)
        made = make_calibration(
            scans,
            lambda sinogram, first: reconstructed(
                cleaned(sinogram, result.clean), result, model=model, batch_size=batch_size, first=first
            ),
            model=model,
            device=result.device,
            batch_size=batch_size,
            progress=show.progress,
        )
        made.save(out)
    say(f"{out}: {made.words}, from {made.n_slices} slices of {made.n_patients} patients")
    for name, tissue in made.tissues.items():
        factor = tissue.factors.get(90)
        of = (
            "too few for 90 %" if factor is None else f"90 % within {factor.value:.2f} of it ({factor.n} {factor.unit})"
        )
        say(f"{name}: root mean square {tissue.rms:.2f} of the expected error, {of}")
    if made.rmse is not None:
        by = "fitted to figures of it" if made.slice_rmse else "that follows from the expected errors"
        say(f"RMSE of a slice: {BOUND} % below {made.rmse.value:.2f} of the one {by} ({made.rmse.n} {made.rmse.unit})")
