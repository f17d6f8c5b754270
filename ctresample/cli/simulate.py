"""``ctresample simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli import options
from ctresample.cli.screen import screen


def simulate(
    dicom_dir: options.DicomFolder,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The new sinogram file, such as scan.h5.")],
    views: Annotated[int, typer.Option(min=1, help="Projection angles, equally spaced.")],
    geometry: options.Geometry = "parallel",
    photons: options.Photons = None,
    electronic_noise: options.ElectronicNoise = 0.0,
    size: options.Size = 256,
    seed: options.Seed = 0,
) -> None:
    """Make a sparse-view, low-dose sinogram of a CT series.

    Each slice is scanned on its own, on a finer grid than the one to reconstruct on. The file holds the line
    integrals, the geometry, the noise, the place in the patient and the DICOM headers (with the patient's name).
    """
    options.check_noise(photons, electronic_noise)
    from ctresample.pipelines.output import check_new_file

    check_new_file(out)
    with screen() as show:
        show.progress(0, "reading the series")
        from ctresample.data_tools.dicom_reader import read_ct_series
        from ctresample.data_tools.sinogram_file import write_sinogram
        from ctresample.pipelines.simulate import simulate as scan

        volume = read_ct_series(dicom_dir, on_warning=show.note)
        step = f"scanning {len(volume.hu)} slices, {views} views"
        sinogram = scan(
            volume,
            n_views=views,
            beam=geometry,
            size=size,
            photons=photons,
            electronic_noise=electronic_noise,
            seed=seed,
            progress=lambda share: show.progress(share, step),
        )
        write_sinogram(sinogram, out)
    n, _, n_detectors = sinogram.values.shape
    typer.echo(f"{out}: {n} slices, {views} views, {n_detectors} detector bins")
