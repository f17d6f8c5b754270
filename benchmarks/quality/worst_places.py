"""Do maps that need no truth mark the places where ReSample is worse than TV?

A place: ReSample's root mean square error over a square centimetre of the body is larger than TV's by more than 40 HU.
Each map is averaged over the same square, and marks where it is above its threshold. Thresholds that mark nine in ten
places come from slices that are not reported on:

    python benchmarks/quality/worst_places.py VAL --views 25,60 -o val.json
    python benchmarks/quality/worst_places.py TEST --views 25,60 --thresholds val.json -o test.json

Maps: ``origin``, what of ReSample's image the data leave open; ``uncertainty``, how samples differ; ``difference`` to
TV, and ``open difference``, what of it the data leave open.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctresample import Volume
from ctresample.cli.options import whole_numbers
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.learned import LearnedModel
from ctresample.metrics import body_mask, local_rms, worse_places
from ctresample.operators import make_projector
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.markdown import table
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.reconstruction.learned_models import load_model
from ctresample.pipelines.reconstruction.maps import error_parts, origin_map, uncertainty_map
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.measure import scanned

MARKED = 0.9
"""Share of the places that a map's threshold marks on the slices that thresholds are chosen on."""


@dataclass
class Slice:
    """What is kept of one: the maps at its places, and percentiles of each map over its body, from 0 to 100."""

    places: int
    at_places: dict[str, list[float]]
    percentiles: dict[str, list[float]]


def judged(volume: Volume, condition: Condition, preset: str, samples: int, prior: LearnedModel) -> Slice:
    """One slice, reconstructed by TV and several times by ReSample."""
    sinogram, truth = condition.scan(volume), scanned(volume, condition.size).hu[0]
    A = make_projector(sinogram.geometry, sinogram.grid)
    reference = reconstruct(sinogram, method="tv", projector=A).image_hu
    settings = Run("resample", preset).load_settings()
    images = [
        reconstruct(sinogram, method="resample", settings=settings, prior=prior, seed=seed, projector=A).image_hu
        for seed in range(samples)
    ]
    differ = images[0] - reference
    maps: dict[str, NDArray[np.float32]] = {
        "origin": origin_map(sinogram, images[0], projector=A),
        "uncertainty": uncertainty_map(images),
        "open difference": error_parts(sinogram, differ, projector=A)[1],
        "difference": differ,
    }
    pixel_mm = sinogram.grid.pixel_size_mm
    local = {name: local_rms(one[0], pixel_mm) for name, one in maps.items()}
    places, body = worse_places(images[0][0], reference[0], truth, pixel_mm), body_mask(truth)
    return Slice(
        places=len(places),
        at_places={name: [float(one[place]) for place in places] for name, one in local.items()},
        percentiles={name: np.percentile(one[body], range(101)).tolist() for name, one in local.items()},
    )


def threshold_of(slices: list[Slice], name: str) -> float:
    """What a map reaches at nine in ten places; infinite where there is none."""
    levels = [value for one in slices for value in one.at_places[name]]
    return float(np.quantile(levels, 1 - MARKED, method="lower")) if levels else math.inf


def lines(views: int, slices: list[Slice], thresholds: dict[str, float]) -> list[list[str]]:
    """A row of the table for each map."""
    n, made = sum(one.places for one in slices), []
    for name, threshold in [*thresholds.items(), ("difference", 40.0)]:
        found = sum(value >= threshold for one in slices for value in one.at_places[name])
        body = float(np.mean([np.mean(np.array(one.percentiles[name]) >= threshold) for one in slices]))
        made.append([str(views), name, f"{threshold:.0f}", f"{found} of {n}", f"{100 * body:.0f} %"])
    return made


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", type=Path)
    parser.add_argument("--views", default="25,60")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--photons", type=float, default=1e5)
    parser.add_argument("--thresholds", type=Path, help="what an earlier run wrote of other slices")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    volumes = read_ct_slices(arguments.dicom_dir)
    prior = load_model(DEFAULT_PRIOR, "cpu", "latent prior")
    chosen = json.loads(arguments.thresholds.read_text())["thresholds"] if arguments.thresholds else {}
    rows, record = [], {}
    for n_views in whole_numbers("--views", arguments.views):
        condition = Condition(n_views=n_views, photons=arguments.photons)
        slices = [judged(one, condition, arguments.preset, arguments.samples, prior) for one in volumes]
        of_views = chosen.setdefault(str(n_views), {name: threshold_of(slices, name) for name in slices[0].at_places})
        rows += lines(n_views, slices, of_views)
        record[str(n_views)] = [asdict(one) for one in slices]
    arguments.out.write_text(json.dumps({"thresholds": chosen, "slices": record}))
    print("\n".join(table(["views", "map", "threshold HU", "places marked", "of the body"], rows)))


if __name__ == "__main__":
    main()
