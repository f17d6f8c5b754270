"""``ctresample lower-dose``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli import options
from ctresample.cli.screen import say, screen
from ctresample.errors import UsageError


def lower_dose(
    sinogram: Annotated[
        Path, typer.Argument(metavar="SINOGRAM", exists=True, dir_okay=False, help="Sinogram file with its photons.")
    ],
    out: options.NewSinogram,
    fraction: Annotated[float, typer.Option(metavar="SHARE", help="Of the photons to keep, such as 0.25.")],
    photons: Annotated[
        str | None,
        typer.Option(
            metavar="N|estimate",
            help="Photons along each ray of a scan that states none: a number, or estimated from its roughness.",
        ),
    ] = None,
    seed: options.Seed = 0,
) -> None:
    """Turn a scan into one of a lower dose.

    Adds exactly the noise that a scan with a fraction of the photons would have had on top of what this one has.
    """
    known = None if photons is None else options.number_or("--photons", photons, "estimate")
    from ctresample.files import check_new_file

    check_new_file(out)
    with screen() as show:
        show.progress(0, "reading the sinogram")
        from ctresample.data_tools.sinogram.reading import read_sinogram
        from ctresample.data_tools.sinogram.writing import write_sinogram
        from ctresample.noise import estimate_photons
        from ctresample.pipelines.scan.lower_dose import lower_dose as lower

        scan = read_sinogram(sinogram)
        if known is not None:
            if scan.photons is not None:
                raise UsageError(f"--photons is {photons}, but {sinogram} states its own; leave it out")
            scan = replace(scan, photons=estimate_photons(scan.values) if isinstance(known, str) else known)
        show.progress(0.5, "adding noise")
        write_sinogram(lower(scan, fraction, seed=seed), out)
    say(f"{out}: {fraction:g} of the photons of {sinogram}")
