"""What a folder that ctresample wrote holds: a reconstruction, a map of it, a batch, a benchmark."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

from ctresample.bounded_files import read_json, read_text
from ctresample.data_tools.describing.words import Facts
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import UsageError
from ctresample.files import RESULT_RECORD

# as in ctresample.pipelines, above which this is
BATCH_RECORD, BATCH_TABLE = "manifest.jsonl", "summary.csv"
BENCHMARK_RECORD, BENCHMARK_TABLE = "settings.json", "results.json"

_MOST_NAMED = 20
_MAX_BYTES = 2**26  # a line, or a row of figures, for each of many thousand slices
_DAMAGED = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, ZeroDivisionError)


def describe_results(place: Path) -> Facts | None:
    """Facts about a result of ctresample; None of anything else.

    Args:
        place: a folder that `reconstruct`, `batch` or `benchmark` wrote, or its record or table.

    Raises:
        UsageError: a record that cannot be read.
    """
    folder = place if place.is_dir() else place.parent
    if (place.is_dir() or place.name == RESULT_RECORD) and (folder / RESULT_RECORD).is_file():
        return _told(folder / RESULT_RECORD, _reconstruction, "the record of a reconstruction", "reconstruct")
    if (place.is_dir() or place.name in (BATCH_RECORD, BATCH_TABLE)) and (folder / BATCH_RECORD).is_file():
        return _told(folder / BATCH_RECORD, _batch, "the record of a batch", "batch")
    if (place.is_dir() or place.name in (BENCHMARK_RECORD, BENCHMARK_TABLE)) and (folder / BENCHMARK_TABLE).is_file():
        return _told(folder / BENCHMARK_TABLE, _benchmark, "the results of a benchmark", "benchmark")
    return None


def describe_map(place: Path) -> Facts | None:
    """What a map beside a reconstruction is, by the record there; None of anything else.

    Args:
        place: a folder of DICOM files, or a volume file.
    """
    record = place.parent / RESULT_RECORD
    if not record.is_file():
        return None
    try:
        maps = dict(read_json(record, max_bytes=_MAX_BYTES)["maps"])
    except _DAMAGED:
        return None  # told when the result itself is described
    for kind, one in maps.items():
        if place.name == f"dicom-{kind}-map" or place.name.startswith(f"{kind}-map."):
            return {"kind": f"{kind} map of a reconstruction, no CT image", "RMS": f"{float(one['rms_hu']):.3g} HU"}
    return None


def _told(record: Path, tell: Any, expected: str, verb: str) -> Facts:
    try:
        facts: Facts = tell(record)
    except _DAMAGED as error:
        raise UsageError(
            f"{record} cannot be used: {type(error).__name__} {one_line(str(error))}; expected {expected}, as "
            f"`ctresample {verb}` writes it"
        ) from error
    beside = sorted(one.name + "/" * one.is_dir() for one in record.parent.iterdir() if one != record)
    return facts | {"beside it": ", ".join(beside) or "nothing"}


def _reconstruction(record: Path) -> Facts:
    run: dict[str, Any] = read_json(record, max_bytes=_MAX_BYTES)
    scan, ratios = dict(run["scan"]), [float(ratio) for ratio in run["residual_ratio"]]
    facts = {
        "kind": "result of a reconstruction",
        "method": " ".join(filter(None, (str(run["method"]), run["preset"]))),
        "slices": f"{len(ratios)} of {' x '.join(str(int(side)) for side in scan['image'][-2:])} pixels",
        "scan": f"{scan['geometry']}, {scan['views']} views",
        "data residual": f"{sum(ratios) / len(ratios):.3g} of what the noise predicts",
    }
    if run["seed"] is not None:
        facts["seed"] = str(run["seed"])
    if run["prior"]:
        facts["prior"] = f"{run['prior']['name']}, weights {str(run['prior']['weights_sha256'])[:12]}"
    if run["metrics"]:
        mean = {name: float(value) for name, value in run["metrics"]["mean"].items()}
        facts["against the truth"] = (
            f"PSNR {mean['psnr_db']:.2f} dB, SSIM {mean['ssim']:.3f}, RMSE {mean['rmse_hu']:.1f} HU"
        )
    facts |= {f"{kind} map": f"RMS {float(one['rms_hu']):.3g} HU" for kind, one in dict(run["maps"]).items()}
    facts |= {f"doubt {number}": str(doubt) for number, doubt in enumerate(run["doubts"], 1)}
    facts["made"] = f"{run['created']}, ctresample {run['versions']['ctresample']}"
    return facts


def _batch(record: Path) -> Facts:
    first: dict[str, Any] = json.loads(read_text(record, max_bytes=_MAX_BYTES).partition("\n")[0])
    settings, scan = first["settings"], first["settings"]["scan"]
    dose = "no noise" if scan["photons"] is None else f"{float(scan['photons']):g} photons a ray"
    facts = {
        "kind": "results of a batch",
        "method": " ".join(filter(None, (str(settings["method"]), settings["preset"]))),
        "scan of images": f"{scan['beam']}, {scan['n_views']} views, {dose}",
        "begun": f"{first['begun']}, ctresample {settings['ctresample']}",
    }
    table = record.parent / BATCH_TABLE
    if not table.is_file():
        return facts | {"series": "not finished; repeat the command to go on"}
    rows = list(csv.DictReader(read_text(table, max_bytes=_MAX_BYTES).splitlines()))
    counts = Counter(row["status"] for row in rows)
    facts["series"] = ", ".join(f"{n} {status}" for status, n in counts.items())
    for row in [row for row in rows if row["status"] != "done"][:_MOST_NAMED]:
        facts[f"{row['status']} {row['key']}"] = row["reason"] or row["series"]
    if doubtful := sum(bool(row["doubts"]) for row in rows):
        facts["doubts"] = f"of {doubtful} series; summary.html has them"
    return facts


def _benchmark(record: Path) -> Facts:
    found: dict[str, Any] = read_json(record, max_bytes=_MAX_BYTES)
    facts = {"kind": "results of a benchmark"} | {str(name): str(value) for name, value in found["facts"].items()}
    for number, row in enumerate(found["summary"][:_MOST_NAMED], 1):
        label = " ".join(filter(None, (str(row["method"]), row["preset"])))
        psnr = row["figures"].get("psnr_db") or {}
        mean = psnr.get("mean")
        failed = f", {row['n_failed']} failed" if row["n_failed"] else ""
        shown = "no result" if mean is None else f"PSNR {float(mean):.2f} dB"
        facts[f"row {number}"] = f"{label}, {row['condition']}: {shown} over {row['n']} slices{failed}"
    return facts
