"""A whole benchmark in a folder, which goes on where it was stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

import ctresample
from ctresample.errors import UsageError
from ctresample.learned import LearnedModel
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.benchmark.compare import Cell, check_contest, compare, patient_numbers, slice_count
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.outputs import device_name, facts_of, write_all
from ctresample.pipelines.benchmark.pictures import Pictures, pictured_slices
from ctresample.pipelines.benchmark.planes import pictured_planes
from ctresample.pipelines.benchmark.records import open_records
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.viewer.zoom import Zoom
from ctresample.pipelines.work import Progress
from ctresample.result import ResultRow
from ctresample.volume import Volume

IMAGES_NAME = "images"

N_PICTURES = 6
"""Slices that the report shows; with ten methods each takes about two megabytes."""


def run_benchmark(
    folder: StrPath,
    volumes: Sequence[Volume],
    *,
    runs: Sequence[Run],
    conditions: Sequence[Condition],
    seeds: Sequence[int] = (0,),
    size: int = 256,
    models: Mapping[str, LearnedModel] | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
    baseline: str = "",
    zoom: Zoom | None = None,
    title: str = "Sparse-view CT: methods compared",
    grows: Collection[str] = (),
    by_volume: bool = False,
    retry_failed: bool = False,
    progress: Progress | None = None,
    on_row: Callable[[ResultRow], None] | None = None,
) -> list[ResultRow]:
    """Compare methods and write the results; the same call on the same folder goes on where it was stopped.

    Every row is on the disk before the next batch begins. Figures come out as those of an undisturbed run.

    Args:
        folder: new, empty, or of an earlier call with the same settings and data.
        volumes: one slice each, unless ``by_volume``.
        runs: the competitors.
        conditions: the scans.
        seeds: of noise and sampling: as many noise draws.
        size: rows and columns of the reconstruction.
        models: learned models by kind.
        device: where to reconstruct.
        batch_size: slices reconstructed together.
        baseline: label of the method that the others are compared with.
        zoom: the region that the report shows enlarged; None for where the baseline's error is largest.
        title: of the report.
        grows: of "runs", "conditions", "seeds" and "models", what may differ from the earlier call: results are added.
        by_volume: slices of one volume are neighbours, see `compare`; the report shows the planes of the first volume.
        retry_failed: compute again what failed in an earlier call; else its failure is kept.
        progress: told how far the whole is.
        on_row: told of every new row.

    Returns:
        All rows of these runs, conditions and seeds, by condition, slice, run and seed.

    Raises:
        OutputError: the folder holds something else, or results of other settings or data, or another process works
            on it.
        UsageError: the baseline does not run, the zoomed region lies outside, two conditions have one name, or a
            method's model is missing.
        PriorError: a model that takes no images of this size.
    """
    folder = as_path(folder, "folder")
    models = models or {}
    labels = [run.label for run in runs]
    names = [condition.name for condition in conditions]
    if baseline and baseline not in labels:
        raise UsageError(f"the baseline is {baseline!r}; expected one of the methods that run: {', '.join(labels)}")
    for what, given in (("method", labels), ("condition", names)):
        if len(set(given)) < len(given):
            raise UsageError(f"a {what} is there twice ({', '.join(given)}); leave one out")
    check_contest(volumes, runs, models, size, conditions=conditions, by_volume=by_volume)
    if zoom:
        zoom.check((size, size))
    settings = {
        "ctresample": ctresample.__version__,
        "data": _digest(volumes),
        "size": size,
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "batch_size": batch_size,
        "models": {kind: _model_settings(model) for kind, model in models.items()},
        "seeds": {str(seed): seed for seed in seeds},
        "conditions": {condition.name: asdict(condition) for condition in conditions},
        "runs": {run.label: _run_settings(run) for run in runs},
        "by_volume": by_volume,
    }
    n_slices = slice_count(volumes)
    digits = max(3, len(str(n_slices)))
    cells = {
        (name, seed, f"slice-{index + 1:0{digits}d}", run.label): Cell(name, seed, index, run.label)
        for name in names
        for index in range(n_slices)
        for run in runs
        for seed in seeds
        if index in run.slices(n_slices)
    }
    pictures = Pictures(folder / IMAGES_NAME)
    pictured = pictured_slices(runs, n_slices, N_PICTURES)
    in_planes = set(range(len(volumes[0].hu))) if by_volume else set()
    with open_records(folder, settings, grows=grows) as records:
        done = {
            (row.condition, row.seed, row.slice, row.label)
            for row in records.rows
            if not (retry_failed and row.failure)
        }
        for outcome in compare(
            volumes,
            runs=runs,
            conditions=conditions,
            seeds=seeds,
            size=size,
            models=models,
            device=device,
            batch_size=batch_size,
            by_volume=by_volume,
            done={cell for key, cell in cells.items() if key in done},
            progress=progress,
        ):
            if outcome.cell.index in pictured | in_planes and outcome.cell.seed == seeds[0]:
                pictures.add(outcome)
            records.keep(outcome.row)
            if on_row:
                on_row(outcome.row)
        kept = {(row.condition, row.seed, row.slice, row.label): row for row in records.rows}
        rows = [kept[key] for key in cells]
        facts = facts_of(rows, conditions, models, size=size, device=str(device))
        facts |= {
            run.label: f"{run.max_slices} slice{'s'[: run.max_slices > 1]} only" for run in runs if run.max_slices
        }
        pictured_rows, plane_rows = (
            [kept[key] for key, cell in cells.items() if cell.index in some] for some in (pictured, in_planes)
        )
        images = pictures.slices(pictured_rows, baseline=baseline, zoom=zoom)
        images |= pictured_planes(pictures.slices(plane_rows), scanned(volumes[0], size)) if by_volume else {}
        write_all(folder, rows, images, title=title, facts=facts, baseline=baseline)
    return rows


def _run_settings(run: Run) -> dict[str, Any]:
    chosen = {"settings": run.all_settings(), "max_slices": run.max_slices}
    return chosen if run.z_coupling is None else chosen | {"z_coupling": run.z_coupling}


def _model_settings(loaded: LearnedModel) -> dict[str, Any]:
    """What results follow from: weights, and what else is kept beside them."""
    config, scheduler = asdict(loaded.config), getattr(loaded, "scheduler", None)
    del config["provenance"]
    schedule = {} if scheduler is None else {k: v for k, v in scheduler.config.items() if not k.startswith("_")}
    return {"name": loaded.name, "sha256": loaded.sha256, "config": config, "schedule": schedule}


def _digest(volumes: Sequence[Volume]) -> dict[str, Any]:
    """What tells data apart and says nothing of a patient."""
    digest = hashlib.sha256()
    for volume in volumes:
        digest.update(volume.hu.tobytes())
        digest.update(volume.affine.tobytes())
    numbers = patient_numbers(volumes)
    return {"slices": slice_count(volumes), "patients": len(set(numbers)), "sha256": digest.hexdigest()}
