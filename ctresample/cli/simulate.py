"""``ctresample simulate``."""

from __future__ import annotations

import typer

from ctresample.cli import options
from ctresample.cli.screen import screen


def simulate(
    dicom_dir: options.DicomFolder,
    out: options.NewSinogram,
    views: options.Views,
    geometry: options.ScanBeam = "parallel",
    arc_deg: options.ArcDeg = None,
    detector_offset_mm: options.DetectorOffset = 0.0,
    axis_offset_mm: options.AxisOffset = 0.0,
    source_to_axis_mm: options.SourceToAxis = None,
    source_to_detector_mm: options.SourceToDetector = None,
    blur_mm: options.Blur = 0.0,
    crosstalk: options.Crosstalk = 0.0,
    photons: options.Photons = None,
    electronic_noise: options.ElectronicNoise = 0.0,
    bow_tie: options.BowTie = None,
    tube_current_modulation: options.TubeCurrentModulation = 0.0,
    size: options.Size = 256,
    seed: options.Seed = 0,
) -> None:
    """Make a sparse-view, low-dose sinogram of a CT series.

    Each slice is scanned on its own (by a cone all at once), on a finer grid than the one to reconstruct on. The file
    holds the line integrals, the geometry, the noise, the place in the patient and the DICOM headers (with the
    patient's name).
    """
    scan = options.scan_settings(
        n_views=views,
        beam=geometry,
        arc_deg=arc_deg,
        detector_offset_mm=detector_offset_mm,
        axis_offset_mm=axis_offset_mm,
        source_to_axis_mm=source_to_axis_mm,
        source_to_detector_mm=source_to_detector_mm,
        blur_mm=blur_mm,
        crosstalk=crosstalk,
        photons=photons,
        electronic_noise=electronic_noise,
        bow_tie_mm=bow_tie,
        tube_current_modulation=tube_current_modulation,
        size=size,
    )
    from ctresample.pipelines.output import check_new_file

    check_new_file(out)
    with screen() as show:
        show.progress(0, "reading the series")
        from ctresample.data_tools.dicom_reader import read_ct_series
        from ctresample.data_tools.sinogram_file import write_sinogram

        volume = read_ct_series(dicom_dir, on_warning=show.note)
        step = f"scanning {len(volume.hu)} slices, {views} views"
        sinogram = scan.scan(volume, seed=seed, progress=lambda share: show.progress(share, step))
        write_sinogram(sinogram, out)
    bins = " x ".join(map(str, sinogram.geometry.view_shape))
    typer.echo(f"{out}: {sinogram.n_slices} slices, {views} views, {bins} detector bins")
