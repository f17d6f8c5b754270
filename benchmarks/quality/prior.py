"""ReSample with one or several priors beside classical methods, on the same scans in one run.

Run: python benchmarks/quality/prior.py DICOM_DIR --prior OLD --prior NEW -o prior.json
Every cell of --views, --beam and --size is measured; choose few to run it in parts. Prints a Markdown table, mean ±
standard deviation over slices, with the paired difference to TV: its mean over slices ± standard deviation over the
patients' means. Test slices are for figures that are reported, never for choosing anything.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

import ctresample
from ctresample.cli.options import whole_numbers, words
from ctresample.cli.screen import screen
from ctresample.data_tools.dicom_reader import read_ct_slices
from ctresample.device import pick_device
from ctresample.metrics import DATA_RANGE_HU
from ctresample.pipelines.benchmark import benchmark
from ctresample.pipelines.benchmark_runs import Run, Scan, runs_of
from ctresample.pipelines.loaded_prior import LoadedPrior
from ctresample.pipelines.reconstruct import DEFAULT_PRIOR
from ctresample.pipelines.work import Progress
from ctresample.result import ResultRow
from ctresample.volume import Volume

BASELINE = "tv"
PATIENT_ID = "00100020"


@dataclasses.dataclass(frozen=True)
class Row:
    """One slice under one method.

    Attributes:
        size: rows and columns of the reconstruction.
        beam: as `Scan` names it.
        name: of the method, with its prior.
        patient: a number, the same for slices of one patient.
        result: its figures.
    """

    size: int
    beam: str
    name: str
    patient: int
    result: ResultRow


def main() -> None:
    """Measure, print the table and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", type=Path)
    parser.add_argument("--prior", action="append", help=f"name or folder; may be repeated (default {DEFAULT_PRIOR})")
    parser.add_argument("--methods", default="fbp,sirt,tv", help="to stand beside; tv is always among them")
    parser.add_argument("--preset", default="fast", help="of ReSample")
    parser.add_argument("--views", default="25,40,60")
    parser.add_argument("--beam", default="parallel", help="parallel, fan or both with a comma")
    parser.add_argument("--size", default="256", help="256, 512 or both with a comma")
    parser.add_argument("--slices", type=int, help="take only so many, in order of path")
    parser.add_argument("--photons", type=float, default=1e5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("-o", "--out", type=Path, help="JSON file for every row")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    priors = by_label([LoadedPrior.load(prior, device) for prior in arguments.prior or [DEFAULT_PRIOR]])
    classical = runs_of(words("--methods", f"{BASELINE},{arguments.methods}"))
    volumes = read_ct_slices(arguments.dicom_dir, max_slices=arguments.slices)
    rows: list[Row] = []
    for size in whole_numbers("--size", arguments.size):
        for beam in words("--beam", arguments.beam):
            scan = Scan(size=size, beam=beam, photons=arguments.photons)
            with screen() as show:
                rows += measure(
                    volumes,
                    classical,
                    priors,
                    whole_numbers("--views", arguments.views),
                    scan,
                    preset=arguments.preset,
                    seed=arguments.seed,
                    device=device,
                    batch_size=arguments.batch_size,
                    progress=show.progress,
                )
            if arguments.out:  # after every part: a run that is stopped keeps what it has
                record = {
                    "ctresample": ctresample.__version__,
                    "photons": arguments.photons,
                    "seed": arguments.seed,
                    "threads": torch.get_num_threads(),
                    "device": str(device),
                    "priors": {label: prior.sha256 for label, prior in priors.items()},
                    "rows": [dataclasses.asdict(row) for row in rows],
                }
                arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


def by_label(priors: Sequence[LoadedPrior]) -> dict[str, LoadedPrior]:
    """Priors by name; those that share one are told apart by their weights."""
    names = [prior.name for prior in priors]
    return {p.name if names.count(p.name) == 1 else f"{p.name} {p.sha256[:8]}": p for p in priors}


def measure(
    volumes: Sequence[Volume],
    classical: Sequence[Run],
    priors: dict[str, LoadedPrior],
    views: Sequence[int],
    scan: Scan,
    *,
    preset: str,
    seed: int,
    device: torch.device | str,
    batch_size: int,
    progress: Progress | None = None,
) -> Iterator[Row]:
    """Rows of all methods; the scans are the same for all, as their noise follows from the seed."""
    patients = patient_numbers(volumes)
    contests = [("", classical, None)] + [(label, [Run("resample", preset)], prior) for label, prior in priors.items()]
    for label, runs, prior in contests:
        for outcome in benchmark(
            volumes,
            runs=runs,
            views=views,
            scan=scan,
            prior=prior.model if prior else None,
            seed=seed,
            device=device,
            batch_size=batch_size,
            progress=progress,
        ):
            name = f"ReSample {preset}, {label}" if prior else outcome.run.label.upper()
            yield Row(scan.size, scan.beam, name, patients[outcome.index], outcome.row)


def patient_numbers(volumes: Sequence[Volume]) -> list[int]:
    """A number a slice by its PatientID, which is not kept."""
    names = [json.dumps(volume.headers[0].get(PATIENT_ID, {}).get("Value", "")) for volume in volumes]
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]


def paired(rows: Sequence[Row], baseline: Sequence[Row], figure: str) -> tuple[float, float]:
    """Mean difference of a figure to the baseline over slices, and the standard deviation of the patients' means.

    The latter is NaN for one patient.
    """
    reference = {row.result.slice: getattr(row.result, figure) for row in baseline}
    by_patient: dict[int, list[float]] = {}
    for row in rows:
        difference = getattr(row.result, figure) - reference[row.result.slice]
        by_patient.setdefault(row.patient, []).append(difference)
    means = [statistics.fmean(differences) for differences in by_patient.values()]
    everything = [difference for differences in by_patient.values() for difference in differences]
    return statistics.fmean(everything), statistics.stdev(means) if len(means) > 1 else float("nan")


def table(rows: Sequence[Row]) -> str:
    """Markdown, a line a method in each cell of size, beam and views."""
    header = (
        "scan", "method", "PSNR dB", "minus TV", "SSIM", "minus TV", "RMSE HU", "residual ratio", "s a slice",
    )  # fmt: skip
    cells: dict[tuple[int, str, int], dict[str, list[Row]]] = {}
    for row in rows:
        cell = cells.setdefault((row.size, row.beam, row.result.views), {})
        cell.setdefault(row.name, []).append(row)
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    for (size, beam, views), methods in cells.items():
        baseline = methods[BASELINE.upper()]
        for name, found in methods.items():
            line = [f"{views} views, {beam}, {size}", name]
            for figure, digits in (("psnr_db", 2), ("ssim", 4)):
                line.append(_mean_sd(found, figure, digits))
                mean, spread = paired(found, baseline, figure)
                line.append("–" if found is baseline else f"{mean:+.{digits}f} ± {spread:.{digits}f}")
            line += [_mean_sd(found, figure, digits) for figure, digits in (("rmse_hu", 1), ("residual_ratio", 2))]
            line.append(f"{statistics.fmean(row.result.seconds for row in found):.1f}")
            lines.append(" | ".join(line))
    slices, patients = len({row.result.slice for row in rows}), len({row.patient for row in rows})
    note = f"{slices} slices of {patients} patients; PSNR and SSIM over {DATA_RANGE_HU:g} HU."
    return "\n".join([*(f"| {line} |" for line in lines), "", note])


def _mean_sd(rows: Sequence[Row], figure: str, digits: int) -> str:
    values = [getattr(row.result, figure) for row in rows]
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.fmean(values):.{digits}f} ± {spread:.{digits}f}"


if __name__ == "__main__":
    main()
