"""The results of a study of lesions on disk: a table as CSV, all of it as JSON, curves and figures as a page."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from ctresample.data_tools.plain_text import csv_text
from ctresample.files import write_file
from ctresample.finite_json import finite
from ctresample.pipelines.lesions.judge import COVERAGE, ERASED, FLAGGED, PROBE_HU, PROBE_MM
from ctresample.pipelines.lesions.rows import LesionRow, SliceRow
from ctresample.pipelines.lesions.summary import LesionSummary, Mean, summarise_lesions
from ctresample.pipelines.page import filled

CSV_NAME, JSON_NAME, PAGE_NAME = "lesions.csv", "lesions.json", "report.html"


def write_study(folder: Path, rows: Sequence[LesionRow | SliceRow], facts: Mapping[str, str]) -> None:
    """Write ``lesions.csv`` (a lesion a row), ``lesions.json`` (means, too) and ``report.html``.

    Args:
        folder: there.
        rows: of the study.
        facts: what a reader needs to repeat or doubt it.

    Raises:
        OutputError: a file cannot be written.
    """
    lesions = [row for row in rows if isinstance(row, LesionRow)]
    slices = [row for row in rows if isinstance(row, SliceRow)]
    columns = [field.name for field in fields(LesionRow)]
    lines = [[_cell(getattr(row, name)) for name in columns] for row in lesions]
    write_file(folder / CSV_NAME, csv_text([columns, *lines], line_end="\r\n"))
    summary, false = summarise_lesions(rows)
    record = {
        "facts": dict(facts),
        "erased_below": ERASED,
        "flagged_from_sd": FLAGGED,
        "summary": [asdict(one) for one in summary],
        "false_lesions": [asdict(one) for one in false],
        "lesions": [asdict(one) for one in lesions],
        "slices": [asdict(one) for one in slices],
    }
    write_file(folder / JSON_NAME, json.dumps(finite(record), indent=1, ensure_ascii=False) + "\n")
    page = filled(
        "lesions.html.j2",
        facts=facts,
        scans=[(scan, _curves([one for one in summary if one.condition == scan])) for scan in _scans(summary)],
        summary=summary,
        clear=false,
        failures=[f"{one.label}, {one.slice}, {one.condition}: {one.failure}" for one in slices if one.failure],
        percent=_percent,
        number=_number,
        erased=f"{100 * ERASED:g} %",
        flagged=f"{FLAGGED:g}",
        coverage=COVERAGE,
        probe=f"{PROBE_MM:g} mm and {PROBE_HU:g} HU",
    )
    write_file(folder / PAGE_NAME, page)


def _scans(summary: Sequence[LesionSummary]) -> list[str]:
    return list(dict.fromkeys(one.condition for one in summary))


def _cell(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def _percent(mean: Mean) -> str:
    """Such as ``83 % [71, 92]``."""
    ends = "" if math.isnan(mean.low) else f" [{100 * mean.low:.0f}, {100 * mean.high:.0f}]"
    return f"{100 * mean.mean:.0f} %{ends}"


def _number(mean: Mean) -> str:
    ends = "" if math.isnan(mean.low) else f" [{mean.low:.1f}, {mean.high:.1f}]"
    return f"{mean.mean:.1f}{ends}"


def _curves(summary: Sequence[LesionSummary]) -> str:
    """Recovered contrast over diameter, a panel a contrast and a line a method, as a PNG in a data URL."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here, for it takes long to import
    from matplotlib.figure import Figure

    contrasts = sorted({one.contrast_hu for one in summary})
    figure = Figure(figsize=(3.2 * len(contrasts) + 0.6, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(contrasts), sharey=True, squeeze=False)[0]
    for panel, contrast_hu in zip(panels, contrasts, strict=True):
        for label in dict.fromkeys(one.label for one in summary):
            mine = [one for one in summary if one.label == label and one.contrast_hu == contrast_hu]
            means = [one.recovered for one in mine]
            ends = [[max(0.0, m.mean - m.low) if m.low == m.low else 0.0 for m in means]]
            ends.append([max(0.0, m.high - m.mean) if m.high == m.high else 0.0 for m in means])
            panel.errorbar(
                [one.diameter_mm for one in mine], [m.mean for m in means], ends, marker="o", capsize=3, label=label
            )
        panel.axhline(1.0, color="0.6", linewidth=0.8)
        panel.axhline(ERASED, color="0.6", linewidth=0.8, linestyle=":")
        panel.set_title(f"{contrast_hu:+g} HU")
        panel.set_xlabel("diameter, mm")
    panels[0].set_ylabel("contrast that came back")
    panels[-1].legend(fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
