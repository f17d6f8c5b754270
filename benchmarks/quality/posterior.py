"""Is the truth like the samples? TARP, the test of a posterior by distances to points, on patches of slices.

Run: python benchmarks/quality/posterior.py CAL_DIR TEST_DIR -o posterior.jsonl --keep FOLDER

A pair is a patch of a slice and its truth. Lemos, Coogan, Hezaveh and Perreault-Levasseur, "Sampling-Based Accuracy
Testing of Posterior Estimators for General Inference", ICML 2023: take a point that knows nothing of the truth, here
the patch of total variation on coarse pixels; the share of the samples that are nearer to it than the truth is must be
uniform over pairs. The departure is the largest distance of its distribution from the uniform one. Of samples it is
asked of three kinds:

- ``seeds``: images of other seeds, which is what ``--uncertainty`` shows;
- ``spread seeds``: their distance from their mean multiplied by what brings the departure on CAL_DIR nearest to 0;
- ``errors``: the image less the errors that patches of the slices of CAL_DIR had, in units of the half-width of their
  90 % intervals: what the intervals are made of, with all that neighbouring pixels have in common. On CAL_DIR those of
  other patients.

A row is a kind of sample on one of the two. What was computed of a slice stays in FOLDER, so that a run goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstest

from ctresample import Volume
from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.learned import LearnedModel
from ctresample.metrics import body_mask
from ctresample.pipelines.benchmark.compare import patient_numbers
from ctresample.pipelines.calibration.expected_error import rough_image_hu
from ctresample.pipelines.calibration.judge import Judge
from ctresample.pipelines.reconstruction.learned_models import load_model
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.scan import Scan

SIDE, APART, AT_MOST = 8, 12, 60
"""Of patches, in pixels: side, distance of their middles at least; and how many of a slice."""

FACTORS = tuple(np.round(np.geomspace(1, 16, 33), 2).tolist())
"""By which seeds are spread, to choose from."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Patches:
    """Of some slices, flattened: ``[patch, pixel]`` each, ``samples`` ``[sample, patch, pixel]``; all in HU."""

    samples: Array
    truth: Array
    reference: Array
    half_width: Array
    patient: NDArray[np.int64]


def fractions(samples: Array, truth: Array, reference: Array) -> Array:
    """The share of the samples that are nearer to the reference than the truth, of each pair.

    Uniform on 0 to 1 where the truth is like one more sample: its rank among them, at a random place within its step.

    Args:
        samples: ``[sample, pair, pixel]``.
        truth: ``[pair, pixel]``.
        reference: the same shape; it may depend on the data, not on the truth.
    """
    away, of_samples = (np.linalg.norm(one - reference, axis=-1) for one in (truth, samples))
    rank = (of_samples < away).sum(0)
    return (rank + np.random.default_rng(0).uniform(size=rank.shape)) / (len(samples) + 1)


def departure(found: Array) -> float:
    """Largest distance of the distribution of such shares from the uniform one: 0 to 1."""
    return float(kstest(found, "uniform").statistic)


def spread(samples: Array, factor: float) -> Array:
    """Samples whose distance from their mean is so many times as large."""
    mean = samples.mean(0)
    return mean + factor * (samples - mean)


def with_errors_of(known: Patches, to: Patches, *, same: bool) -> Array:
    """The first sample less errors of other patches; of the ``same`` slices none of the own patient's.

    Every pair gets as many, drawn from all that there are.
    """
    errors = (known.samples[0] - known.truth) / known.half_width
    generator, made = np.random.default_rng(1), []
    fewest = min((known.patient != one).sum() for one in set(known.patient)) if same else len(errors)
    for k, patient in enumerate(to.patient):
        allowed = np.flatnonzero(known.patient != patient) if same else np.arange(len(errors))
        drawn = errors[generator.permutation(allowed)[:fewest]]
        made.append(to.samples[0, k] - drawn * to.half_width[k])
    return np.stack(made, axis=1)


def places(body: NDArray[np.bool_], generator: np.random.Generator) -> list[tuple[int, int]]:
    """First rows and columns of patches inside the body, far enough from each other."""
    from scipy.ndimage import minimum_filter

    inside = minimum_filter(body, SIDE, origin=-(SIDE // 2), mode="constant")  # the whole patch, from its first pixel
    rows, columns = np.nonzero(inside)
    found: list[tuple[int, int]] = []
    for k in generator.permutation(len(rows)):
        if all(max(abs(rows[k] - row), abs(columns[k] - column)) >= APART for row, column in found):
            found.append((int(rows[k]), int(columns[k])))
        if len(found) == AT_MOST:
            break
    return found


def patches_of(volume: Volume, scan: Scan, number: int, n_samples: int, prior: LearnedModel) -> dict[str, Array]:
    """Of one slice, all but the patient."""
    sinogram, truth = scan.scan(volume, seed=number), scanned(volume, scan.size).hu[0]
    results = [
        reconstruct(sinogram, preset="draft", prior=prior, seed=seed, slice_numbers=[number])
        for seed in range(n_samples)
    ]
    judge = Judge.of(sinogram, method="resample", preset="draft", model=prior, prior=DEFAULT_PRIOR)
    trust = judge.trust(results[0], coverage=90)
    if trust.interval is None:
        raise SystemExit(trust.why_not)
    where = places(body_mask(truth), np.random.default_rng(number))

    def cut(image: NDArray[np.float32]) -> Array:
        return np.array([image[r : r + SIDE, c : c + SIDE].ravel() for r, c in where], np.float64)

    return {
        "samples": np.stack([cut(one.image_hu[0]) for one in results]),
        "truth": cut(truth),
        "reference": cut(rough_image_hu(sinogram)[0]),
        "half_width": cut(trust.interval.half_width_hu[0]),
    }


def all_patches(
    folder: Path, scan: Scan, per_patient: int, n_samples: int, prior: LearnedModel, keep: Path, show: Any
) -> Patches:
    """Of so many slices of each patient, evenly spaced in order of path."""
    volumes = read_ct_slices(folder)
    patients = np.array(patient_numbers(volumes))
    chosen = [
        own[k]
        for own in (np.flatnonzero(patients == one) for one in dict.fromkeys(patients.tolist()))
        for k in np.unique(np.linspace(0, len(own) - 1, per_patient + 2).round().astype(int)[1:-1])
    ]
    parts, whose = [], []
    for done, number in enumerate(chosen):
        show.progress(done / len(chosen), f"{folder.name}, slice {number + 1}")
        file = keep / f"{folder.name}-{number}.npz"
        if not file.exists():
            np.savez(file, **patches_of(volumes[number], scan, int(number), n_samples, prior))
        parts.append(dict(np.load(file)))
        whose += [int(patients[number])] * len(parts[-1]["truth"])
    joined = {name: np.concatenate([one[name] for one in parts], axis=int(name == "samples")) for name in parts[0]}
    return Patches(**joined, patient=np.array(whose))


def rows_of(name: str, known: Patches, own: Patches, factor: float) -> list[dict[str, Any]]:
    """Departures on some patches; ``known`` are those of the calibration slices."""
    kinds = {
        "seeds": (own.samples, 1.0),
        "spread seeds": (spread(own.samples, factor), factor),
        "errors": (with_errors_of(known, own, same=own is known), 1.0),
    }
    return [
        {
            "set": name,
            "samples": kind,
            "of_each": len(samples),
            "factor": factor_of_kind,
            "pairs": len(own.truth),
            "patients": len(set(own.patient)),
            "departure": round(departure(fractions(samples, own.truth, own.reference)), 4),
        }
        for kind, (samples, factor_of_kind) in kinds.items()
    ]


def main() -> None:
    """Measure, choose the factor on one set, and state both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cal_dir", type=Path, help="whose slices choose, and lend their errors")
    parser.add_argument("test_dir", type=Path, help="whose slices are reported")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--keep", type=Path, required=True, help="folder for what slices need")
    parser.add_argument("--views", type=int, default=25)
    parser.add_argument("--photons", type=float, default=1e5)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--per-patient", type=int, default=2, help="slices of each, evenly spaced in order of path")
    arguments = parser.parse_args()
    arguments.keep.mkdir(exist_ok=True)
    scan, prior = Scan(n_views=arguments.views, photons=arguments.photons), load_model(DEFAULT_PRIOR)
    with screen() as show:
        given = (scan, arguments.per_patient, arguments.samples, prior, arguments.keep, show)
        known, own = (all_patches(folder, *given) for folder in (arguments.cal_dir, arguments.test_dir))
    by_factor = {one: departure(fractions(spread(known.samples, one), known.truth, known.reference)) for one in FACTORS}
    factor = min(by_factor, key=by_factor.__getitem__)
    rows = rows_of("calibration", known, known, factor) + rows_of("test", known, own, factor)
    arguments.out.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


if __name__ == "__main__":
    main()
