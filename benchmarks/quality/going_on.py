"""What measurements of CT slices share: their arguments, and a file of rows, one a line, that goes on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ctresample.finite_json import finite


def parser_of(doc: str | None, views: str = "25") -> argparse.ArgumentParser:
    """Arguments of a measurement: slices, the file of rows, views and photons.

    Args:
        doc: of the program; its first line is its description.
        views: by default, with commas between where there may be several.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("dicom_dir", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--views", default=views)
    parser.add_argument("--photons", type=float, default=1e5)
    return parser


class Rows:
    """The rows of a file, which is made with the first of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )

    def have(self, **key: Any) -> bool:
        """Whether there is a row with these values."""
        return any(key.items() <= row.items() for row in self.rows)

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """More rows, written at once."""
        self.rows += rows
        self.path.write_text("".join(f"{json.dumps(finite(row))}\n" for row in self.rows))
