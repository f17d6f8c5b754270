"""``ctresample align``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli.screen import say, screen
from ctresample.errors import UsageError


def align(
    scan: Annotated[
        Path, typer.Argument(metavar="SCAN", exists=True, dir_okay=False, help="Sinogram file, such as scan.h5.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="A new sinogram file with the axis found; without, only told."
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Of a helix: also turn channels or detector rows round, where lines agree better that way.",
        ),
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw a slice before and after. A new file."),
    ] = None,
) -> None:
    """Find the rotation axis of a scan in its data: the offset with which all views agree on one image.

    Parallel beams (detector_offset_mm), fans and cones (axis_offset_mm); at least 150 degrees of views. Of helical
    scans the centre of the detector (detector_offset_mm), by the lines that are seen from both ends. Nothing is changed
    but with -o, and there only the offset; with --calibrate also the order of a helix's channels and rows.
    """
    from ctresample.files import check_new_file

    for new in (out, figure):
        if new is not None:
            check_new_file(new)
    with screen() as show:
        show.progress(0, "looking for the axis")
        from ctresample.data_tools.sinogram.reading import read_sinogram
        from ctresample.data_tools.sinogram.writing import write_sinogram
        from ctresample.pipelines.alignment.axis import find_axis

        sinogram = read_sinogram(scan)
        if calibrate:
            from ctresample.pipelines.alignment.helix import turned_round

            if sinogram.geometry.name != "helical":
                raise UsageError(
                    f"--calibrate is of helical scans; this is a {sinogram.geometry.name} beam; leave it out"
                )
            sinogram, turned = turned_round(sinogram)
            for what in turned:
                show.note(f"{scan}: {what} turned round: lines that are seen from both ends agree better so")
        found = find_axis(sinogram, lambda share: show.progress(share, "looking for the axis"))
        if figure is not None:
            from ctresample.pipelines.alignment.picture import write_picture

            write_picture(sinogram, found, figure)
        if out is not None:
            write_sinogram(found.apply(sinogram), out)
    say(
        f"{found.parameter} {found.found_mm:.5g} mm, {found.moved_bins:+.2f} bins from that of the file; "
        f"misfit {found.misfit[0]:.3g} before, {found.misfit[1]:.3g} after"
    )
    if out is None:
        say("nothing was changed; -o FILE writes the scan with it")
