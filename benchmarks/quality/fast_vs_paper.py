"""Presets of ReSample on the same slices, data and seed in one run: quality, wall time and what it consists of.

Run: python fast_vs_paper.py DICOM_DIR -o fast-vs-paper [--slices 1] [--presets fast,paper,released_code]
The paper preset takes minutes a slice on two cores. Results are kept as they come: the same command goes on.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from ctresample.cli.options import words
from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.device import pick_device
from ctresample.pipelines.benchmark.compare import compare
from ctresample.pipelines.benchmark.conditions import CONDITIONS
from ctresample.pipelines.benchmark.models import load_models
from ctresample.pipelines.benchmark.outputs import MARKDOWN_NAME
from ctresample.pipelines.benchmark.resumable import run_benchmark
from ctresample.pipelines.benchmark.runs import Run, runs_of
from ctresample.pipelines.benchmark.tally import COUNTED
from ctresample.pipelines.demo import SLICES
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.result import ResultRow

SCAN = CONDITIONS["paper-25"]


def main() -> None:
    """Measure what is missing, print the tables and the ratios to the first preset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", nargs="?", type=Path, default=SLICES)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results: new, or to go on with")
    parser.add_argument("--slices", type=int, default=1, help="slices taken, in order of path")
    parser.add_argument("--presets", default="fast,paper")
    parser.add_argument("--prior", default=DEFAULT_PRIOR)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=1)
    arguments = parser.parse_args()
    presets = words("--presets", arguments.presets)
    runs, device = runs_of(["tv", "resample"], presets), pick_device(arguments.device)
    models = load_models(runs, {"latent prior": arguments.prior}, device)
    volumes = read_ct_slices(arguments.dicom_dir, max_slices=arguments.slices)
    with screen() as show:
        show.progress(0, "warming up")
        # the first network call of a process is slower: let no preset pay for it
        networks = dict(models)
        warm = [Run("resample", "fast")]
        list(compare(volumes[:1], runs=warm, conditions=[SCAN], size=arguments.size, models=networks, device=device))
        rows = run_benchmark(
            arguments.out,
            volumes,
            runs=runs,
            conditions=[SCAN],
            size=arguments.size,
            models=models,
            device=device,
            batch_size=arguments.batch_size,
            baseline="tv",
            title="Presets of ReSample",
            progress=show.progress,
        )
    print((arguments.out / MARKDOWN_NAME).read_text(encoding="utf-8"))
    print("\n".join(ratios(rows, presets)))


def ratios(rows: Sequence[ResultRow], presets: Sequence[str]) -> list[str]:
    """A line a further preset: how many times the first one's seconds and calls it takes a slice."""

    def mean(preset: str, name: str) -> float:
        found = [getattr(row, name) for row in rows if row.preset == preset and not row.failure]
        return statistics.fmean(found) if found else float("nan")

    first, *others = presets
    lines = []
    for preset in others:
        ratio = mean(preset, "seconds") / mean(first, "seconds")
        gain = mean(first, "psnr_db") - mean(preset, "psnr_db")
        calls = [f"{name.replace('_', ' ')} {mean(preset, name):.0f} : {mean(first, name):.0f}" for name in COUNTED]
        lines.append(
            f"{first} is {ratio:.0f} times faster than {preset} ({mean(first, 'seconds'):.1f} s against "
            f"{mean(preset, 'seconds'):.1f} s) and {gain:+.2f} dB; {preset} : {first}: {', '.join(calls)}"
        )
    return lines


if __name__ == "__main__":
    main()
