"""The two presets of ReSample on the same slice, data and seed in one run: quality and wall time.

Run: python benchmarks/quality/fast_vs_paper.py [DICOM_DIR] [--slices 1]
The paper preset takes about half an hour a slice on two cores; a line is printed as each method ends.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ctresample.data_tools.dicom_reader import read_ct_slices
from ctresample.pipelines.benchmark import benchmark
from ctresample.pipelines.benchmark_runs import Run, Scan
from ctresample.pipelines.demo import SLICES, VIEWS
from ctresample.pipelines.reconstruct import DEFAULT_PRIOR
from ctresample.prior import LatentPrior

RUNS = (Run("tv"), Run("resample", "fast"), Run("resample", "paper"))


def main() -> None:
    """Print one line a slice and method, then the ratio of times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", nargs="?", type=Path, default=SLICES)
    parser.add_argument("--slices", type=int, default=1, help="slices taken, from the first")
    parser.add_argument("--prior", default=DEFAULT_PRIOR)
    parser.add_argument("--photons", type=float, default=1e5)
    arguments = parser.parse_args()
    prior = LatentPrior.from_pretrained(arguments.prior)
    volumes = read_ct_slices(arguments.dicom_dir, max_slices=arguments.slices)
    seconds: dict[str, float] = {}
    scan = Scan(photons=arguments.photons)
    # the first network call of a process is slower: let neither preset pay for it
    list(benchmark(volumes[:1], runs=[Run("resample", "fast")], views=[VIEWS], scan=scan, prior=prior))
    for outcome in benchmark(volumes, runs=RUNS, views=[VIEWS], scan=scan, prior=prior, batch_size=1):
        row = outcome.row
        seconds[outcome.run.label] = seconds.get(outcome.run.label, 0.0) + row.seconds
        print(
            f"{row.slice}  {outcome.run.label:16s}  PSNR {row.psnr_db:6.2f} dB  SSIM {row.ssim:.4f}  "
            f"RMSE {row.rmse_hu:6.1f} HU  residual {row.residual_ratio:.3f}  {row.seconds:8.1f} s",
            flush=True,
        )
    fast, paper = (seconds[run.label] for run in RUNS[1:])
    print(f"fast is {paper / fast:.0f} times faster than paper ({fast:.1f} s against {paper:.1f} s)")


if __name__ == "__main__":
    main()
