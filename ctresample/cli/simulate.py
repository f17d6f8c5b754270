"""``ctresample simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli import deidentification, options
from ctresample.cli.from_settings import with_settings
from ctresample.cli.screen import say, screen
from ctresample.data_tools.reading import PLAIN, Reading
from ctresample.errors import UsageError
from ctresample.offered import SCANNER
from ctresample.pipelines.scan.scan import Scan


@with_settings
def simulate(
    dicom: options.DicomPlace,
    out: options.NewSinogram,
    scan: Scan = options.DEFAULT_SCAN,
    series: options.Series = None,
    seed: options.Seed = 0,
    reading: Reading = PLAIN,
    projections: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Of a helix: write it as DICOM-CT-PD, too, a file a view.", rich_help_panel=SCANNER
        ),
    ] = None,
    deidentify: deidentification.Deidentify = False,
    deidentification_key: deidentification.DeidentificationKey = None,
    retain_device: deidentification.RetainDevice = False,
) -> None:
    """Make a sparse-view, low-dose sinogram of a CT series.

    Each slice is scanned on its own (by a cone or helix all at once), on a finer grid than the one to reconstruct on.
    The file holds the line integrals, the geometry, the noise, the place in the patient and the DICOM headers (with
    the patient's name, unless --deidentify is given; what it took out then stands in FILE.deidentification.json).
    """
    options.check_noise(scan.photons, scan.electronic_noise)
    if projections and scan.beam != "helical":
        raise UsageError(f"--projections are of a helix, but the geometry is {scan.beam!r}; add --geometry helical")
    from ctresample.files import check_new_file, check_new_folder

    report = out.with_suffix(".deidentification.json")
    check_new_file(out)
    if projections:
        check_new_folder(projections)
    if deidentify:
        check_new_file(report)
    deidentifier = deidentification.chosen_deidentifier(deidentify, deidentification_key, retain_device)
    with screen() as show:
        show.progress(0, "reading the series")
        from ctresample.data_tools.ct_source import read_ct_volume
        from ctresample.data_tools.sinogram.writing import write_sinogram
        from ctresample.pipelines.results.deidentification_report import write_report

        volume = read_ct_volume(
            dicom,
            series_uid=series,
            on_warning=show.note,
            **vars(reading),
        )
        if deidentifier:
            volume = deidentifier.volume(volume)
        n = len(volume.hu)
        slices = f"{n} slice{'s'[: n > 1]}"
        step = f"scanning {slices}, {scan.n_views} views{' a turn' if scan.beam == 'helical' else ''}"
        sinogram = scan.scan(volume, seed=seed, progress=lambda share: show.progress(share, step))
        write_sinogram(sinogram, out)
        if projections:
            from ctresample.data_tools.ct_pd.from_sinogram import write_sinogram_as_projections

            show.progress(1, "writing projections")
            write_sinogram_as_projections(sinogram, projections)
        if deidentifier:
            show.note(write_report(report, deidentifier))
    bins, n_views = " x ".join(map(str, sinogram.geometry.view_shape)), sinogram.geometry.n_views
    turns = f", {n_views / scan.n_views:.3g} turns" if scan.beam == "helical" else ""
    say(f"{out}: {slices}, {n_views} views{turns}, {bins} detector bins{options.without_noise(scan.photons)}")
