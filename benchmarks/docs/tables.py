"""Tables of figures in the pages, made of the result files that lie in the repository, so that neither can drift.

Run: python benchmarks/docs/tables.py [--check]     (rewrites the pages; --check only says which are stale)

A page has a comment with what to show, and the table below it up to the next ``<!-- end of results -->``::

    <!-- results {"file": "benchmarks/quality/search.jsonl", "against": "resample fast, 32 steps",
    "columns": ["psnr_db", "ssim"]} -->

``file`` is ``results.json`` of `ctresample benchmark`, under any name, or its rows as JSON lines; ``against`` the label
of the method that the others are compared with (left out: no differences); ``columns`` names of figures;
``differences`` those of them that have a difference (left out: all); ``rows`` labels to show, in their order (left out:
all). With ``"of": "calibrations"`` ``file`` is a folder of some, and the table has their factors; with the name of one
of `trust_tables.TABLES` it is the file of that study.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent))  # tests and mkdocs load this file alone
from trust_tables import trust_table

from ctresample.pipelines.benchmark.figures import FIGURES, Figure
from ctresample.pipelines.benchmark.markdown import mean_sd, table, with_interval
from ctresample.pipelines.benchmark.summary import SummaryRow, summarise
from ctresample.pipelines.calibration.calibration import Calibration
from ctresample.result import ResultRow

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "ctresample" / "docs").glob("*.md"))]
_PART = re.compile(r"(<!-- results (\{.*?\}) -->\n).*?(<!-- end of results -->)", re.DOTALL)
_TISSUES = ("lung", "fat", "soft tissue", "bone")
_FIGURES = {figure.name: figure for figure in FIGURES}


def main() -> None:
    """Rewrite the pages, or say which are stale."""
    stale = [page for page in PAGES if with_tables(page.read_text("utf-8")) != page.read_text("utf-8")]
    if "--check" in sys.argv[1:]:
        sys.exit(f"stale: {', '.join(page.name for page in stale)}; run {sys.argv[0]}" if stale else 0)
    for page in stale:
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
        print(page)


def with_tables(text: str) -> str:
    """A page with its tables made anew."""
    return _PART.sub(lambda part: f"{part[1]}\n{results_table(json.loads(part[2]))}\n\n{part[3]}", text)


def with_origins(text: str) -> str:
    """A page that says below each table which file it is of, and of what commit and date that is."""
    return _PART.sub(lambda part: f"{part[0]}\n\n{_origin(json.loads(part[2])['file'])}", text)


def results_table(wanted: dict[str, Any]) -> str:
    """Markdown of one part, see above."""
    if wanted.get("of") == "calibrations":
        return calibrations_table(ROOT / wanted["file"])
    if "of" in wanted:
        return trust_table(wanted["of"], ROOT / wanted["file"])
    against = wanted.get("against", "")
    summary = summarise(read_rows(ROOT / wanted["file"]), baseline=against, generator=np.random.default_rng(0))
    if "rows" in wanted:
        summary = sorted(
            (row for row in summary if row.label in wanted["rows"]), key=lambda row: wanted["rows"].index(row.label)
        )
        summary = sorted(summary, key=lambda row: row.views)
    figures = [_FIGURES[name] for name in wanted["columns"]]
    compared = set(wanted.get("differences", wanted["columns"])) if against else set()
    several = len({row.condition for row in summary}) > 1
    header = ["scan"] * several + ["method", "slices"]
    for figure in figures:
        header += [figure.heading, *["difference"] * (figure.name in compared)]
    return "\n".join(table(header, [_line(row, figures, compared, against, several) for row in summary]))


def calibrations_table(folder: Path) -> str:
    """Markdown of the calibrations of a folder: factors of 90 % intervals by tissue, and of the bound of RMSE."""
    found = sorted(
        (Calibration.load(file) for file in folder.glob("*.json")),
        key=lambda one: (one.preset, one.scan.n_views, -max(one.scan.photons or (0.0,))),
    )
    rows = []
    for one in found:
        factors = [one.tissues[name].factors.get(90) if name in one.tissues else None for name in _TISSUES]
        rows.append(
            [
                one.preset,
                str(one.scan.n_views),
                "none" if one.scan.photons is None else f"{max(one.scan.photons):.0e}".replace("e+0", "e"),
                f"{one.n_slices} of {one.n_patients}",
                *("—" if factor is None else f"{factor.value:.2f}" for factor in factors),
                "—" if one.rmse is None else f"{one.rmse.value:.2f}",
            ]
        )
    return "\n".join(table(["preset", "views", "photons a ray", "slices of patients", *_TISSUES, "RMSE"], rows))


def read_rows(file: Path) -> list[ResultRow]:
    """The rows of a result file."""
    text = file.read_text("utf-8")
    found = [json.loads(line) for line in text.splitlines()] if file.suffix == ".jsonl" else json.loads(text)["rows"]
    known = {one.name for one in fields(ResultRow)}
    return [
        ResultRow(**{name: float("nan") if value is None else value for name, value in row.items() if name in known})
        for row in found
    ]


def _line(
    row: SummaryRow, figures: Sequence[Figure], compared: Collection[str], against: str, several: bool
) -> list[str]:
    cells = [row.condition] * several + [row.label, str(row.n)]
    for figure in figures:
        cells.append(mean_sd(row.figures[figure.name], figure))
        if figure.name in compared:
            cells.append("" if row.label == against else with_interval(row.differences.get(figure.name), figure))
    return cells


def _origin(file: str) -> str:
    command = ["git", "log", "-1", "--format=%h of %cs", "--", file]
    try:
        commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # sources without their history
        commit = ""
    return f"From `{file}`{f', commit {commit}' if commit else ''}."


if __name__ == "__main__":
    main()
