"""Collect the outcomes of a benchmark and write them as a table and a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import ctresample
from ctresample.pipelines.benchmark import Outcome
from ctresample.pipelines.benchmark_runs import Scan
from ctresample.pipelines.loaded_prior import LoadedPrior
from ctresample.pipelines.report import SliceImages, write_report
from ctresample.pipelines.results_table import write_results_csv
from ctresample.result import ResultRow

CSV_NAME = "results.csv"
REPORT_NAME = "report.html"


class BenchmarkResults:
    """Rows of every outcome, and pictures of the first slices.

    Args:
        n_pictured: slices with pictures; each takes about half a megabyte of the report.
    """

    def __init__(self, n_pictured: int = 12) -> None:
        self._n_pictured = n_pictured
        self._outcomes: list[tuple[tuple[int, int, int], ResultRow]] = []
        self._pictures: dict[tuple[int, int], list[Outcome]] = {}

    def add(self, outcome: Outcome) -> None:
        """Take one more outcome; those of one slice in the order of the methods."""
        index, views = outcome.index, outcome.row.views
        self._outcomes.append(((views, index, len(self._outcomes)), outcome.row))
        if index < self._n_pictured:
            self._pictures.setdefault((views, index), []).append(outcome)

    @property
    def rows(self) -> list[ResultRow]:
        """By views, then slice, then method."""
        return [row for _, row in sorted(self._outcomes, key=lambda pair: pair[0])]

    def write(self, folder: Path, *, title: str, facts: Mapping[str, str]) -> None:
        """Write ``results.csv`` and ``report.html``.

        Raises:
            OutputError: a file cannot be written.
        """
        rows = self.rows
        several = len({row.views for row in rows}) > 1
        images = {}
        for (views, _), outcomes in sorted(self._pictures.items()):
            name = outcomes[0].row.slice + (f", {views} views" if several else "")
            by_method = {outcome.run.label: outcome.image.hu[0] for outcome in outcomes}
            images[name] = SliceImages(outcomes[0].truth_hu, by_method, views)
        write_results_csv(folder / CSV_NAME, rows)
        write_report(folder / REPORT_NAME, title=title, facts=facts, rows=rows, images=images)


def facts_of(results: BenchmarkResults, scan: Scan, prior: LoadedPrior | None, seed: int) -> dict[str, str]:
    """What a reader of the report needs to repeat or doubt it."""
    rows = results.rows
    facts = {
        "Slices": str(len({row.slice for row in rows})),
        "Views": ", ".join(map(str, sorted({row.views for row in rows}))),
        "Geometry": f"{scan.beam} beam",
        "Image": f"{scan.size} × {scan.size} pixels",
        "Noise": scan.noise,
        "Seed": str(seed),
        "ctresample": ctresample.__version__,
    }
    if prior:
        facts |= {"Prior": prior.name, "Weights (SHA-256)": prior.sha256}
    return facts
