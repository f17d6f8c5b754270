"""``ctresample simulate``."""

from __future__ import annotations

from ctresample.cli import deidentification, options
from ctresample.cli.screen import say, screen


def simulate(
    dicom: options.DicomPlace,
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
    series: options.Series = None,
    allow_gaps: options.AllowGaps = False,
    resample_tilt: options.ResampleTilt = False,
    even_steps: options.EvenSteps = None,
    one_series: options.OneSeries = False,
    any_class: options.AnyClass = False,
    seed: options.Seed = 0,
    deidentify: deidentification.Deidentify = False,
    deidentification_key: deidentification.DeidentificationKey = None,
    retain_device: deidentification.RetainDevice = False,
) -> None:
    """Make a sparse-view, low-dose sinogram of a CT series.

    Each slice is scanned on its own (by a cone all at once), on a finer grid than the one to reconstruct on. The file
    holds the line integrals, the geometry, the noise, the place in the patient and the DICOM headers (with the
    patient's name, unless --deidentify is given; what it took out then stands in FILE.deidentification.json).
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
    from ctresample.files import check_new_file

    report = out.with_suffix(".deidentification.json")
    check_new_file(out)
    if deidentify:
        check_new_file(report)
    deidentifier = deidentification.chosen_deidentifier(deidentify, deidentification_key, retain_device)
    with screen() as show:
        show.progress(0, "reading the series")
        from ctresample.data_tools.ct_source import read_ct_volume
        from ctresample.data_tools.sinogram_file import write_sinogram
        from ctresample.pipelines.deidentification_report import write_report

        volume = read_ct_volume(
            dicom,
            series_uid=series,
            allow_gaps=allow_gaps,
            resample_tilt=resample_tilt,
            even_steps_mm=even_steps,
            one_series=one_series,
            any_class=any_class,
            on_warning=show.note,
        )
        if deidentifier:
            volume = deidentifier.volume(volume)
        n = len(volume.hu)
        slices = f"{n} slice{'s'[: n > 1]}"
        step = f"scanning {slices}, {views} views"
        sinogram = scan.scan(volume, seed=seed, progress=lambda share: show.progress(share, step))
        write_sinogram(sinogram, out)
        if deidentifier:
            show.note(write_report(report, deidentifier))
    bins = " x ".join(map(str, sinogram.geometry.view_shape))
    say(f"{out}: {slices}, {views} views, {bins} detector bins")
