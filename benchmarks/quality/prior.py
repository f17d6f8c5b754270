"""ReSample with one or several priors beside classical methods, on the same scans in one run.

Run: python benchmarks/quality/prior.py DICOM_DIR --prior OLD --prior NEW -o prior [--views 25,40,60] [--beam parallel]
Each prior has a folder of its own in the one given, so that results are kept as they come and the same command goes on.
Prints Markdown tables with paired differences to TV. Test slices are for figures that are reported, never for choosing
anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ctresample.cli.options import whole_numbers, words
from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.device import pick_device
from ctresample.learned import LearnedModel
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.markdown import quality_table, reading
from ctresample.pipelines.benchmark.resumable import run_benchmark
from ctresample.pipelines.benchmark.runs import Run, runs_of
from ctresample.pipelines.benchmark.summary import summarise
from ctresample.pipelines.reconstruction.learned_models import load_model
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.result import ResultRow

BASELINE = "tv"


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", type=Path)
    parser.add_argument("--prior", action="append", help=f"name or folder; may be repeated (default {DEFAULT_PRIOR})")
    parser.add_argument("--methods", default="fbp,sirt,tv", help="to stand beside; tv is always among them")
    parser.add_argument("--preset", default="fast", help="of ReSample")
    parser.add_argument("--views", default="25,40,60")
    parser.add_argument("--beam", default="parallel", help="parallel, fan or both with a comma")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--slices", type=int, help="take only so many, in order of path")
    parser.add_argument("--photons", type=float, default=1e5)
    parser.add_argument("--draws", type=int, default=1, help="noise draws")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results: new, or to go on with")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    priors = by_label([load_model(prior, device) for prior in arguments.prior or [DEFAULT_PRIOR]])
    classical = runs_of(words("--methods", f"{BASELINE},{arguments.methods}"))
    volumes = read_ct_slices(arguments.dicom_dir, max_slices=arguments.slices)
    conditions = [
        Condition(n_views=n_views, beam=beam, photons=arguments.photons)
        for beam in words("--beam", arguments.beam)
        for n_views in whole_numbers("--views", arguments.views)
    ]
    learned = [Run("resample", arguments.preset)]
    rows: list[ResultRow] = []
    with screen() as show:
        # the scans are the same for all, as their noise follows from the seed
        for label, runs, prior in [("", classical, None), *((label, learned, one) for label, one in priors.items())]:
            found = run_benchmark(
                arguments.out / (label or "classical"),
                volumes,
                runs=runs,
                conditions=conditions,
                seeds=range(arguments.draws),
                size=arguments.size,
                models={"latent prior": prior} if prior else {},
                device=device,
                batch_size=arguments.batch_size,
                grows=("runs", "conditions", "seeds"),
                progress=show.progress,
            )
            rows += [replace(row, preset=", ".join(filter(None, (row.preset, label)))) for row in found]
    print(tables(rows))


def by_label(priors: Sequence[LearnedModel]) -> dict[str, LearnedModel]:
    """Priors by name; those that share one are told apart by their weights."""
    names = [prior.name for prior in priors]
    return {p.name if names.count(p.name) == 1 else f"{p.name} {p.sha256[:8]}": p for p in priors}


def tables(rows: Sequence[ResultRow]) -> str:
    """Markdown, a table a scan."""
    summary = summarise(rows, baseline=BASELINE, generator=np.random.default_rng(0))
    parts = []
    for condition in dict.fromkeys(row.condition for row in summary):
        of_it = [row for row in summary if row.condition == condition]
        parts += [f"## {condition}", "", *quality_table(of_it, BASELINE), "", reading(of_it, BASELINE), ""]
    return "\n".join(parts)


if __name__ == "__main__":
    main()
