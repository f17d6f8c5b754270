"""``ctresample simulate``."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import typer

from ctresample.cli import options
from ctresample.cli.screen import screen


def simulate(
    dicom_dir: options.DicomFolder,
    out: options.NewSinogram,
    views: Annotated[
        int, typer.Option(min=1, help="Projection angles, equally spaced.", rich_help_panel=options.SCANNER)
    ],
    geometry: Annotated[
        options.Beam,
        typer.Option(
            help="Parallel rays, a fan on a flat or curved detector, or a cone that sees all slices at once.",
            rich_help_panel=options.SCANNER,
        ),
    ] = "parallel",
    arc_deg: Annotated[
        str | None,
        typer.Option(
            metavar="DEG|short",
            help="Arc of the views. short: 180° and the fan angle. Default: 180° parallel, 360° fan and cone.",
            rich_help_panel=options.SCANNER,
        ),
    ] = None,
    detector_offset_mm: Annotated[
        float, typer.Option(metavar="MM", help="Shift of the detector.", rich_help_panel=options.SCANNER)
    ] = 0.0,
    axis_offset_mm: Annotated[
        float,
        typer.Option(
            metavar="MM", help="Central ray to rotation axis (not parallel).", rich_help_panel=options.SCANNER
        ),
    ] = 0.0,
    source_to_axis_mm: Annotated[
        float | None,
        typer.Option(metavar="MM", help="Default: 595, a clinical scanner.", rich_help_panel=options.SCANNER),
    ] = None,
    source_to_detector_mm: Annotated[
        float | None, typer.Option(metavar="MM", help="Default: 1085.6, the same.", rich_help_panel=options.SCANNER)
    ] = None,
    blur_mm: Annotated[
        float,
        typer.Option(
            metavar="MM", help="Width (FWHM) of the detector's point spread.", rich_help_panel=options.SCANNER
        ),
    ] = 0.0,
    crosstalk: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Signal each bin passes to a neighbour.", rich_help_panel=options.SCANNER),
    ] = 0.0,
    photons: options.Photons = None,
    electronic_noise: options.ElectronicNoise = 0.0,
    bow_tie: Annotated[
        float | None,
        typer.Option(
            metavar="MM", help="Bow-tie filter for a water cylinder of this diameter.", rich_help_panel=options.DOSE
        ),
    ] = None,
    tube_current_modulation: Annotated[
        float,
        typer.Option(
            metavar="STRENGTH",
            help="How far the current follows the patient: 0 not, 0.5 best.",
            rich_help_panel=options.DOSE,
        ),
    ] = 0.0,
    size: options.Size = 256,
    seed: options.Seed = 0,
) -> None:
    """Make a sparse-view, low-dose sinogram of a CT series.

    Each slice is scanned on its own (by a cone all at once), on a finer grid than the one to reconstruct on. The file
    holds the line integrals, the geometry, the noise, the place in the patient and the DICOM headers (with the
    patient's name).
    """
    options.check_noise(photons, electronic_noise)
    arc = None if arc_deg is None else options.number_or("--arc-deg", arc_deg, "short")
    arc_rad: float | Literal["short"] | None = "short" if isinstance(arc, str) else arc and math.radians(arc)
    from ctresample.noise import Scanner
    from ctresample.pipelines.output import check_new_file

    check_new_file(out)
    scanner = Scanner(
        bow_tie_mm=bow_tie,
        tube_current_modulation=tube_current_modulation,
        blur_mm=blur_mm,
        crosstalk=crosstalk,
    )
    with screen() as show:
        show.progress(0, "reading the series")
        from ctresample.data_tools.dicom_reader import read_ct_series
        from ctresample.data_tools.sinogram_file import write_sinogram
        from ctresample.pipelines.scan_geometry import reconstruction_grid, scan_geometry
        from ctresample.pipelines.simulate import simulate as scan

        volume = read_ct_series(dicom_dir, on_warning=show.note)
        grid, _ = reconstruction_grid(volume, size, geometry)
        beam = scan_geometry(
            grid,
            beam=geometry,
            n_views=views,
            arc_rad=arc_rad,
            detector_offset_mm=detector_offset_mm,
            axis_offset_mm=axis_offset_mm,
            source_to_axis_mm=source_to_axis_mm,
            source_to_detector_mm=source_to_detector_mm,
        )
        step = f"scanning {len(volume.hu)} slices, {views} views"
        sinogram = scan(
            volume,
            geometry=beam,
            size=size,
            photons=photons,
            electronic_noise=electronic_noise,
            scanner=scanner,
            seed=seed,
            progress=lambda share: show.progress(share, step),
        )
        write_sinogram(sinogram, out)
    bins = " x ".join(map(str, beam.view_shape))
    typer.echo(f"{out}: {sinogram.n_slices} slices, {views} views, {bins} detector bins")
