"""``ctresample import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ctresample.choices import CLEANING
from ctresample.cli import options
from ctresample.cli.screen import say, screen
from ctresample.errors import UsageError


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            help="Sinogram of another program, a folder of TIFF files, or one of projections (DICOM-CT-PD).",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The new sinogram file, such as scan.h5.")],
    geometry: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="JSON or YAML with what the file does not say itself; or RTK's geometry XML.",
        ),
    ] = None,
    preset: Annotated[
        Literal["lodopab"] | None, typer.Option(help="The published scan of a dataset whose files do not say it.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="NPY or TIFF, not 0 where readings are bad: of each bin, each ray of a view, or each reading.",
        ),
    ] = None,
    clean: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help=f"What the detector got wrong, to be taken out: {', '.join(CLEANING)}, with commas between, or none.",
        ),
    ] = "none",
    mu_water: Annotated[
        float | None, typer.Option(metavar="1/MM", help="Attenuation of water that HU refer to, such as 0.0192.")
    ] = None,
) -> None:
    """Make a sinogram file of another program's: NPY, NPZ, TIFF stack, EDF, DXchange, NXtomo, LoDoPaB-CT, MAT, Nikon.

    Also of a folder of 2DeteCT, and of a clinical scanner's helical projections: a folder of DICOM-CT-PD files, which
    say all themselves.

    Units and geometry are never guessed: what the file does not say stands in a JSON or YAML file beside it (NAME.json
    or geometry.json) or named with --geometry. If something is missing, the error says which key to add.
    """
    from ctresample.files import check_new_file

    check_new_file(out)
    with screen() as show:
        show.progress(0, "reading the sinogram")
        from ctresample.data_tools.ct_pd.series import is_projection_folder

        if is_projection_folder(file):
            if geometry or preset or mask:
                raise UsageError(f"{file} holds DICOM-CT-PD projections; leave out --geometry, --preset and --mask")
            from ctresample.data_tools.ct_pd.importing import import_projections

            head = import_projections(file, out, mu_water_per_mm=mu_water, on_note=show.note, progress=show.progress)
            say(f"{out}: {head.grid.shape[0]} slices, {head.geometry.n_views} views on a helix")
            return
        from ctresample.data_tools.importers import import_sinogram
        from ctresample.data_tools.sinogram.writing import write_sinogram

        sinogram = import_sinogram(
            file,
            sidecar=geometry,
            preset=preset,
            mu_water_per_mm=mu_water,
            mask=mask,
            clean=options.some_of("--clean", clean, CLEANING),
            on_note=show.note,
        )
        write_sinogram(sinogram, out)
    bins = " x ".join(map(str, sinogram.geometry.view_shape))
    n = sinogram.n_slices
    say(f"{out}: {n} slice{'s'[: n > 1]}, {sinogram.geometry.n_views} views, {bins} detector bins")
