"""The demo: sample slices, 25 noisy views, the learned method beside two classical ones."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

import ctresample
from ctresample.data_tools.dicom_reader import read_ct_slices
from ctresample.data_tools.dicom_writer import write_ct_slices
from ctresample.errors import CTResampleError
from ctresample.pipelines.benchmark import Outcome, benchmark
from ctresample.pipelines.benchmark_results import BenchmarkResults, facts_of
from ctresample.pipelines.benchmark_runs import Run, Scan
from ctresample.pipelines.dicom_export import DICOM_FOLDER, method_label, provenance_of
from ctresample.pipelines.loaded_prior import LoadedPrior
from ctresample.pipelines.work import Progress
from ctresample.result import ResultRow
from ctresample.solvers.resample import PRESETS

SLICES = Path(ctresample.__file__).parent / "demo_data"
VIEWS = 25
SCAN = Scan(photons=1e5)
LEARNED = Run("resample", "fast")
RUNS = (Run("fbp"), Run("tv"), LEARNED)


def demo(
    folder: Path,
    *,
    prior: LoadedPrior,
    slices: Path = SLICES,
    scan: Scan = SCAN,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> list[ResultRow]:
    """Run the demo and write ``results.csv``, ``report.html`` and ``dicom/``, the series by ReSample.

    Args:
        folder: empty.
        prior: for ReSample; on ``device``.
        slices: folder of DICOM slices.
        scan: how to scan them.
        seed: of noise and ReSample.
        device: where to reconstruct.
        progress: told how far it is.

    Returns:
        The results table.

    Raises:
        CTResampleError: the sample slices are missing, or the results cannot be written.
    """
    if not slices.is_dir():
        raise CTResampleError(f"{slices}, the folder of sample slices, is missing; install ctresample anew")
    results, learned = BenchmarkResults(), list[Outcome]()
    for outcome in benchmark(
        read_ct_slices(slices),
        runs=RUNS,
        views=[VIEWS],
        scan=scan,
        prior=prior.model,
        seed=seed,
        device=device,
        progress=progress,
    ):
        results.add(outcome)
        if outcome.run == LEARNED:
            learned.append(outcome)
    learned.sort(key=lambda outcome: outcome.index)
    label = method_label(LEARNED.method, LEARNED.preset, VIEWS)
    write_ct_slices(
        [outcome.image for outcome in learned],
        folder / DICOM_FOLDER,
        description=label,
        provenance=provenance_of(
            label,
            sampling=asdict(PRESETS[LEARNED.preset]),
            scan={"views": VIEWS, "geometry": scan.beam, "size": scan.size, "noise": scan.noise},
            prior=prior,
            seed=seed,
        ),
    )
    facts = facts_of(results, scan, prior, seed)
    results.write(folder, title=f"CT slices from {VIEWS} views: FBP, TV and ReSample", facts=facts)
    return results.rows
