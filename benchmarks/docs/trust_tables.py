"""Tables of studies of their own: a measured scan, stability, samples, what is unlike, worst places, lesions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ctresample.pipelines.benchmark.markdown import table
from ctresample.pipelines.lesions.rows import LesionRow, SliceRow
from ctresample.pipelines.lesions.summary import Mean, summarise_lesions
from ctresample.units import MATTERS_HU

CHANGES = ("random", "adversarial", "more photons", "fewer photons", "seed", "start", "error")
MARKED = 0.9
"""Share of the places that a map's threshold marks on the slices that thresholds are chosen on."""

Row = dict[str, Any]


def stability(rows: Sequence[Row]) -> str:
    """Means over slices: root mean square over the body, and in brackets the largest over a square centimetre."""
    lines = []
    for label in _each(row["method"] for row in rows):
        cells = []
        for change in CHANGES:
            own = [row for row in rows if (row["method"], row["change"]) == (label, change)]
            mean, worst = (np.mean([row[name] for row in own] or math.nan) for name in ("rms_hu", "worst_square_cm_hu"))
            cells.append(f"{mean:.1f} ({worst:.0f})" if own else "—")
        lines.append([label, *cells])
    return "\n".join(table(["method", *CHANGES], lines))


def posterior(rows: Sequence[Row]) -> str:
    """Departures, and what a perfect posterior would exceed once in twenty."""
    lines = [
        [
            row["set"],
            row["samples"] + (f", x {row['factor']:g}" if row["factor"] != 1 else ""),
            str(row["of_each"]),
            f"{row['pairs']} of {row['patients']}",
            f"{row['departure']:.3f}",
            f"{1.358 / row['pairs'] ** 0.5:.3f}",
        ]
        for row in rows
    ]
    return "\n".join(
        table(["slices", "samples", "of each pair", "pairs of patients", "departure", "by chance at 95 %"], lines)
    )


def unlike(rows: Sequence[Row]) -> str:
    """Scores in units of the limit."""
    lines = []
    for row in rows:
        low, high = min(row["shares_of_limit"]), max(row["shares_of_limit"])
        scores = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
        lines.append([row["what"], scores, f"{row['warned']} of {row['slices']}"])
    return "\n".join(table(["what was scanned", "score over limit", "slices warned of"], lines))


def worst_places(rows: Sequence[Row]) -> str:
    """How many of the places each map marks, with the threshold that marks nine in ten on validation slices."""
    lines = []
    for preset, views in _each((row["preset"], row["views"]) for row in rows):
        chosen, reported = (
            [row for row in rows if (row["preset"], row["views"], row["set"]) == (preset, views, name)]
            for name in ("validation", "test")
        )
        maps = _each(name for row in chosen for name in row["at_places"])
        thresholds = [(name, _threshold(chosen, name)) for name in maps]
        for name, threshold in [*thresholds, ("difference", MATTERS_HU)]:
            known = name in reported[0]["at_places"] if reported else False
            cells = [*_marked(chosen, name, threshold), *(_marked(reported, name, threshold) if known else ("—", "—"))]
            lines.append([f"{preset}, {views} views", name, f"{threshold:.0f}", *cells])
    header = ["ReSample", "map", "threshold, HU", "validation: places marked", "of the body", "test: places marked"]
    return "\n".join(table([*header, "of the body"], lines))


def tries(rows: Sequence[Row]) -> str:
    """Means over slices, and sums of places and spots."""
    lines = []
    for name in _each(row["try"] for row in rows):
        own = [row for row in rows if row["try"] == name]
        psnr, ratio, worst = (
            np.mean([row[key] for row in own]) for key in ("psnr_db", "residual_ratio", "worst_region_rmse_hu")
        )
        places, dense, lost = (
            sum(row[key] for row in own) for key in ("places_worse_than_tv", "dense_spots", "lost_spots")
        )
        lines.append([name, f"{psnr:.2f}", f"{ratio:.2f}", f"{worst:.0f}", str(places), f"{dense:.0f}", f"{lost:.0f}"])
    header = [
        "image",
        "PSNR, dB",
        "residual",
        "worst region, HU",
        "places worse than TV",
        "made-up spots",
        "lost spots",
    ]
    return "\n".join(table(header, lines))


def _threshold(rows: Sequence[Row], name: str) -> float:
    """What a map reaches at nine in ten places; infinite where there is none."""
    levels = [value for row in rows for value in row["at_places"][name]]
    return float(np.quantile(levels, 1 - MARKED, method="lower")) if levels else math.inf


def _marked(rows: Sequence[Row], name: str, threshold: float) -> tuple[str, str]:
    found = sum(value >= threshold for row in rows for value in row["at_places"][name])
    shares = []
    for row in rows:
        percentiles = row["percentiles"][name]
        shares.append(1 - np.interp(threshold, percentiles, np.linspace(0, 1, len(percentiles))))
    return f"{found} of {sum(row['places'] for row in rows)}", f"{100 * np.mean(shares):.0f} %"


def lesions(rows: Sequence[Row]) -> str:
    """What came back of lesions by shape, scan, size and method."""
    lines = []
    views = {row["condition"]: row["views"] for row in rows}
    for shape in _each(row["shape"] for row in rows):
        own = [_lesion_row(row) for row in rows if row["shape"] == shape]
        calibrated = {
            (row.condition, row.label)
            for row in own
            if isinstance(row, LesionRow) and not math.isnan(row.half_width_hu)
        }
        made, _ = summarise_lesions(own)
        for one in sorted(made, key=lambda one: (one.diameter_mm, views[one.condition])):
            lines.append(
                [
                    f"{shape}, {one.diameter_mm:g} mm",
                    str(views[one.condition]),
                    one.label,
                    str(one.n),
                    f"{one.detectability:.1f}",
                    *map(_percent, (one.recovered, one.erased, one.in_silence)),
                    _percent(one.unflagged) if (one.condition, one.label) in calibrated else "—",
                ]
            )
    header = ["lesion", "views", "method", "lesions", "ideal d′", "back, %", "erased, %", "in silence, %"]
    return "\n".join(table([*header, "nor in its interval, %"], lines))


def false_lesions(rows: Sequence[Row]) -> str:
    """Of a slice without any."""
    shape = rows[0]["shape"]  # slices without lesions are the same for all
    _, clear = summarise_lesions([_lesion_row(row) for row in rows if row["shape"] == shape])
    labels, views = _each(one.label for one in clear), {row["condition"]: row["views"] for row in rows}
    lines = []
    for condition in sorted(_each(one.condition for one in clear), key=views.__getitem__):
        own = {one.label: one.false_lesions for one in clear if one.condition == condition}
        cells = [
            f"{own[name].mean:.0f} [{own[name].low:.0f}, {own[name].high:.0f}]" if name in own else "—"
            for name in labels
        ]
        lines.append([str(views[condition]), *cells])
    return "\n".join(table(["views", *labels], lines))


def _lesion_row(row: Row) -> LesionRow | SliceRow:
    kind: Any = SliceRow if "false_lesions" in row else LesionRow
    return kind(**{one.name: row[one.name] for one in fields(kind) if row.get(one.name) is not None})


def _percent(mean: Mean) -> str:
    ends = "" if math.isnan(mean.low) else f" [{100 * mean.low:.0f}, {100 * mean.high:.0f}]"
    return f"{100 * mean.mean:.0f}{ends}"


def _each(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def name_of(method: str) -> str:
    """As tables and pictures of a measured scan call it."""
    return "ReSample" if method == "resample" else method.upper()


def measured(rows: Sequence[Row]) -> str:
    """A line a method, of a scan that was measured: few views and those left out, then all."""
    few, many = sorted({row["views"] for row in rows})
    found = {(row["method"], row["views"]): row for row in rows}
    lines = []
    for method in _each(row["method"] for row in rows):
        a, b = found[method, few], found[method, many]
        lines.append(
            [
                name_of(method),
                f"{a['fitted_ratio']:.2f}",
                f"{a['other_ratio']:.2f} ± {a['other_spread']:.2f}",
                f"{a['difference']:.1%}",
                f"{a['seconds']:.1f}",
                f"{b['fitted_ratio']:.2f}",
                f"{b['difference']:.1%}",
                f"{b['seconds']:.1f}",
            ]
        )
    header = ["method", f"{few} views: misfit to them", f"to the {many - few} left out", "difference", "s"]
    return "\n".join(table([*header, f"{many} views: misfit", "difference", "s"], lines))


TABLES: dict[str, Callable[[Sequence[Row]], str]] = {
    "measured": measured,
    "stability": stability,
    "posterior": posterior,
    "unlike": unlike,
    "worst places": worst_places,
    "tries": tries,
    "lesions": lesions,
    "false lesions": false_lesions,
}
"""By what a page calls them."""


def trust_table(what: str, file: Path) -> str:
    """Markdown of one of `TABLES`, of a file of JSON lines."""
    return TABLES[what]([json.loads(line) for line in file.read_text("utf-8").splitlines()])
