"""``ctresample info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli import options


def info(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="CT images; sinogram file; result folder; prior.")],
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw a sinogram: the scan's axes and signs, and its middle slice. A new file.",
        ),
    ] = None,
    as_json: options.AsJson = False,
    one_series: options.OneSeries = False,
    any_class: options.AnyClass = False,
) -> None:
    """Say what a CT series, a sinogram, a result folder, a NIfTI file or a prior holds.

    Of a folder or zip file with several series, lists each, what is wrong with it, and the options to read it with.

    Names no patient, so that the answer can be shown to others.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ctresample.data_tools.describing import describe, next_step
    from ctresample.data_tools.plain_text import shown

    facts = describe(path, one_series=one_series, any_class=any_class)
    facts |= next_step(path, facts)
    if figure:
        from ctresample.pipelines.figure.geometry_figure import write_scan_figure

        write_scan_figure(path, figure)
    if as_json:
        options.print_json(facts)
        return
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(Text(name, style="bold"), Text(shown(value)))
    Console().print(table)
