"""``ctresample benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli import options
from ctresample.cli.screen import screen
from ctresample.pipelines.methods import METHODS


def benchmark(
    dicom_dir: options.DicomFolder,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="New or empty folder for the results.")],
    views: Annotated[str, typer.Option(metavar="N,N,...", help="Numbers of views.")] = "25",
    methods: Annotated[
        str, typer.Option(metavar="NAME,NAME,...", help="Of the methods above.")
    ] = "fbp,sirt,tv,resample",
    preset: Annotated[
        str, typer.Option(metavar="NAME,...", help=f"Of ReSample: {', '.join(options.PRESETS)}.")
    ] = "fast",
    geometry: options.SliceGeometry = "parallel",
    photons: options.Photons = None,
    electronic_noise: options.ElectronicNoise = 0.0,
    size: options.Size = 256,
    max_slices: Annotated[int | None, typer.Option(min=1, help="Take only so many slices, in order of path.")] = None,
    prior: options.Prior = options.DEFAULT_PRIOR,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    batch_size: options.BatchSize = 8,
) -> None:
    """Compare methods on your own CT images.

    Takes every axial CT slice found below the folder, each on its own: patients and series may be mixed. Scans it,
    reconstructs it by each method and compares with the original. Writes OUT/results.csv (a row a slice and method)
    and OUT/report.html (pictures). Neither names a patient; the pictures are of the patients.
    """
    options.check_noise(photons, electronic_noise)
    n_views = options.whole_numbers("--views", views)
    names, presets = options.words("--methods", methods), options.words("--preset", preset)
    from ctresample.pipelines.output import new_folder

    with screen() as show, new_folder(out) as folder:
        show.progress(0, "loading")
        from ctresample.data_tools.dicom_reader import read_ct_slices
        from ctresample.device import pick_device
        from ctresample.pipelines.benchmark import benchmark as measure
        from ctresample.pipelines.benchmark_results import BenchmarkResults, facts_of
        from ctresample.pipelines.benchmark_runs import Scan, runs_of
        from ctresample.pipelines.loaded_prior import LoadedPrior

        runs, place = runs_of(names, presets), pick_device(device)
        volumes = read_ct_slices(dicom_dir, max_slices=max_slices, on_warning=show.note)
        learned = LoadedPrior.load(prior, place) if any(METHODS[run.method].needs for run in runs) else None
        scan = Scan(size=size, beam=geometry, photons=photons, electronic_noise=electronic_noise)
        results = BenchmarkResults()
        for outcome in measure(
            volumes,
            runs=runs,
            views=n_views,
            scan=scan,
            prior=learned.model if learned else None,
            seed=seed,
            device=place,
            batch_size=batch_size,
            progress=show.progress,
        ):
            results.add(outcome)
        facts = facts_of(results, scan, learned, seed)
        results.write(folder, title="Sparse-view CT: methods compared", facts=facts)
    from rich.console import Console

    from ctresample.pipelines.results_table import print_summary

    print_summary(results.rows, Console())
    typer.echo(f"Pictures: {out / 'report.html'}   Table: {out / 'results.csv'}")
