"""Write the results of a benchmark: CSV, JSON, Markdown and an HTML report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

import ctresample
from ctresample.files import write_file
from ctresample.finite_json import finite
from ctresample.learned import LearnedModel
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.markdown import markdown
from ctresample.pipelines.benchmark.report import write_report
from ctresample.pipelines.benchmark.slice_images import SliceImages
from ctresample.pipelines.benchmark.summary import summarise
from ctresample.pipelines.benchmark.table import write_results_csv
from ctresample.result import ResultRow

CSV_NAME, JSON_NAME, MARKDOWN_NAME, REPORT_NAME = "results.csv", "results.json", "results.md", "report.html"


def facts_of(
    rows: Sequence[ResultRow],
    conditions: Sequence[Condition],
    models: Mapping[str, LearnedModel],
    *,
    size: int,
    device: str,
) -> dict[str, str]:
    """What a reader needs to repeat or doubt the results."""
    seeds = sorted({row.seed for row in rows})
    n_threads = torch.get_num_threads()
    on = f"CPU, {n_threads} thread{'s'[: n_threads > 1]}" if device == "cpu" else device_name(device)
    facts = {
        "Slices": f"{len({row.slice for row in rows})} of {len({row.patient for row in rows})} patients",
        **{one.name if len(conditions) > 1 else "Scan": one.words for one in conditions},
        "Image": f"{size} × {size} pixels",
        "Noise draws": f"{len(seeds)} (seed{'s'[: len(seeds) > 1]} {', '.join(map(str, seeds))})",
        "Computed on": on,
        "ctresample": ctresample.__version__,
    }
    for kind, model in models.items():
        facts[kind.capitalize()] = f"{model.name}, weights SHA-256 {model.sha256}"
    return facts


def device_name(device: torch.device | str) -> str:
    """The model of a GPU, for figures of one are not those of another; else "cpu"."""
    return torch.cuda.get_device_name(device) if str(device).startswith("cuda") else str(device)


def write_table_and_report(
    folder: Path,
    rows: Sequence[ResultRow],
    images: Mapping[str, SliceImages],
    *,
    title: str,
    facts: Mapping[str, str],
    baseline: str = "",
) -> None:
    """Write ``results.csv`` and ``report.html``.

    Raises:
        OutputError: a file cannot be written.
    """
    summary = summarise(rows, baseline=baseline, generator=np.random.default_rng(0))
    write_results_csv(folder / CSV_NAME, rows)
    failures = [f"{r.label}, {r.slice}, {r.condition}, seed {r.seed}: {r.failure}" for r in rows if r.failure]
    write_report(
        folder / REPORT_NAME,
        title=title,
        facts=facts,
        summary=summary,
        images=images,
        baseline=baseline,
        failures=failures,
    )


def write_all(
    folder: Path,
    rows: Sequence[ResultRow],
    images: Mapping[str, SliceImages],
    *,
    title: str,
    facts: Mapping[str, str],
    baseline: str,
) -> None:
    """Write all four files; the numbers of each are the same.

    Raises:
        OutputError: a file cannot be written.
    """
    summary = summarise(rows, baseline=baseline, generator=np.random.default_rng(0))
    record = {
        "facts": facts,
        "baseline": baseline,
        "summary": [asdict(row) for row in summary],
        "rows": [asdict(row) for row in rows],
    }
    write_file(folder / JSON_NAME, json.dumps(finite(record), indent=1, ensure_ascii=False) + "\n")
    text = markdown(summary, rows, baseline=baseline, facts=facts)
    write_file(folder / MARKDOWN_NAME, f"# {title}\n\n{text}")
    write_table_and_report(folder, rows, images, title=title, facts=facts, baseline=baseline)
