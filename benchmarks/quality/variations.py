"""Variations of ReSample's settings on the same scans, each measured once and kept: for search.py and ablations.py."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ctresample.cli.options import whole_numbers, words
from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.device import pick_device
from ctresample.pipelines.benchmark.conditions import CONDITIONS
from ctresample.pipelines.benchmark.models import load_models
from ctresample.pipelines.benchmark.resumable import run_benchmark
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.benchmark.summary import SummaryRow, summarise
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.solvers.resample import PRESETS, ReSampleSettings

METHOD = "resample"


def parser_of(description: str) -> argparse.ArgumentParser:
    """The arguments that both scripts have."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("dicom_dir", type=Path, help="validation slices, never test slices")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results: new, or to go on with")
    parser.add_argument("--conditions", default="paper-25", help=f"of {', '.join(CONDITIONS)}, with commas between")
    parser.add_argument("--prior", default=DEFAULT_PRIOR)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--slices", type=int, help="take only so many, in order of path")
    parser.add_argument("--seeds", default="1", help="noise draws: numbers above 0, with commas between")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, help="of the preset; fewer than it has make many variations affordable")
    return parser


def base_of(preset: str, steps: int | None) -> tuple[str, ReSampleSettings]:
    """The settings to vary, and what they are called: the preset's, with another number of steps if that is given."""
    settings = PRESETS[preset]
    if steps in (None, settings.n_steps):
        return preset, settings
    return f"{preset}, {steps} steps", replace(settings, n_steps=steps)


def runs_of(base_name: str, base: ReSampleSettings, changes: Mapping[str, Mapping[str, Any]]) -> list[Run]:
    """The base, then one run for each set of changes to it, by name; what has been there before is left out."""
    found = {base: base_name}
    for name, changed in changes.items():
        found.setdefault(replace(base, **changed), name)
    return [Run(METHOD, name, settings=settings) for settings, name in found.items()]


def measure(arguments: argparse.Namespace, runs: Sequence[Run]) -> list[SummaryRow]:
    """Run what is missing in the folder and summarise all, with paired differences to the first run.

    Runs, conditions and seeds may be added later; results of other settings by the same name are refused.
    """
    with screen() as show:
        device = pick_device(arguments.device)
        rows = run_benchmark(
            arguments.out,
            read_ct_slices(arguments.dicom_dir, max_slices=arguments.slices),
            runs=runs,
            conditions=[CONDITIONS[name] for name in words("--conditions", arguments.conditions)],
            seeds=whole_numbers("--seeds", arguments.seeds),
            size=arguments.size,
            models=load_models(runs, {"latent prior": arguments.prior}, device),
            device=device,
            batch_size=arguments.batch_size,
            baseline=runs[0].label,
            title=f"Variations of ReSample {runs[0].preset}",
            grows=("runs", "conditions", "seeds"),
            progress=show.progress,
        )
    return summarise(rows, baseline=runs[0].label, generator=np.random.default_rng(0))
