"""``ctresample demo``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli import options
from ctresample.cli.screen import Screen, say, screen
from ctresample.errors import OutputError
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR

# An earlier demo is recognised by these and replaced.
RESULTS = frozenset({"results.csv", "report.html", "dicom"})


@contextmanager
def _first_picture(out: Path, seed: int, show: Screen) -> Iterator[None]:
    """Something to look at while the demo works: beside the folder, which is there whole or not at all."""
    from ctresample.pipelines.demo import first_picture

    path = out.absolute().with_name(f"{out.absolute().name}-first.png")
    if path.exists():  # somebody's own
        yield
        return
    try:
        with suppress(OutputError):  # the demo needs no place beside its folder
            show.progress(0, "a first picture")
            first_picture(path, seed=seed)
            show.note(f"a first picture, until the report is there: {path}")
        yield
    finally:
        path.unlink(missing_ok=True)


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the results: new, empty, or of an earlier demo.")
    ] = Path("demo-output"),
    prior: options.LatentPrior = DEFAULT_PRIOR,
    seed: options.Seed = 0,
    device: options.Device = "auto",
) -> None:
    """Reconstruct sample CT slices from 25 views, end to end.

    Scans the slices that come with the package (25 noisy parallel-beam views), reconstructs them by filtered back
    projection, total variation and ReSample, and shows how near each comes to the original. The results are a table
    (results.csv), pictures (report.html) and the ReSample images as DICOM.
    """
    from ctresample.files import whole_folder

    with screen() as show, whole_folder(out, replaces=RESULTS) as folder:
        show.progress(0, "loading")
        from ctresample.device import pick_device
        from ctresample.pipelines.demo import demo as run_demo
        from ctresample.pipelines.reconstruction.learned_models import load_model

        place = pick_device(device)
        with _first_picture(out, seed, show):
            rows = run_demo(folder, prior=load_model(prior, place), seed=seed, device=place, progress=show.progress)
    from rich.console import Console

    from ctresample.pipelines.benchmark.console import print_summary

    print_summary(rows, Console())
    say(f"Pictures: {out / 'report.html'}   DICOM: {out / 'dicom'}   Table: {out / 'results.csv'}")
