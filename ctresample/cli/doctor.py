"""``ctresample doctor``."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Say what works on this machine: compute device, projectors, DICOM decoders.

    The exit status is 1 if something that every reconstruction needs is missing.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ctresample.pipelines.doctor import examine

    findings = examine()
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        table.add_row(Text(finding.state), Text(finding.name, style="bold"), Text(finding.detail))
    Console().print(table)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)
