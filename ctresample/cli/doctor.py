"""``ctresample doctor``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from ctresample.cli import options


def doctor(as_json: options.AsJson = False) -> None:
    """Say what works on this machine: compute device, projectors, DICOM decoders.

    The exit status is 1 if something that every reconstruction needs is missing.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ctresample.pipelines.doctor import examine

    findings = examine()
    if as_json:
        options.print_json([asdict(finding) for finding in findings])
    else:
        table = Table.grid(padding=(0, 2))
        for finding in findings:
            table.add_row(Text(finding.state), Text(finding.name, style="bold"), Text(finding.detail))
        Console().print(table)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)
