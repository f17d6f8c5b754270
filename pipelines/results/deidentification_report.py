"""What de-identification took out, on disk and in a line."""

from __future__ import annotations

import json
from pathlib import Path

from ctresample.data_tools.deidentify import NOT_HANDLED, Deidentifier
from ctresample.files import write_file

REPORT_NAME = "deidentification.json"


def write_report(path: Path, deidentifier: Deidentifier) -> str:
    """Write what was done as JSON, without any value of a header.

    Args:
        path: the file, in a folder that exists.
        deidentifier: after its work.

    Returns:
        A line that sums it up and says what was not handled.
    """
    report = deidentifier.report()
    write_file(path, json.dumps(report, indent=1) + "\n")
    n = report["headers"]
    return f"de-identified {n} header{'s'[: n != 1]}; not handled: {', '.join(NOT_HANDLED)}"
