"""Do maps that need no truth mark the places where ReSample is worse than TV?

A place: ReSample's root mean square error over a square centimetre of the body is larger than TV's by more than 40 HU.
Each map is averaged over the same square, and marks where it is above its threshold. Thresholds that mark nine in ten
places come from slices that are not reported on:

    python benchmarks/quality/worst_places.py VAL --set validation -o worst-places.jsonl
    python benchmarks/quality/worst_places.py TEST --set test -o worst-places.jsonl

Maps: ``origin``, what of ReSample's image the data leave open; ``interval``, half the width of its 90 % interval, where
a calibration fits; ``uncertainty``, how samples differ, where there are ``--samples`` of them; ``difference`` to TV.
A row is a slice; an existing file goes on. The table is in the page that names the file, see benchmarks/docs/tables.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from going_on import Rows, parser_of
from numpy.typing import NDArray

from ctresample import Volume
from ctresample.cli.options import whole_numbers
from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.learned import LearnedModel
from ctresample.metrics import body_mask, local_rms, worse_places
from ctresample.operators import make_projector
from ctresample.pipelines.benchmark.compare import patient_numbers
from ctresample.pipelines.calibration.judge import Judge
from ctresample.pipelines.reconstruction.learned_models import load_model
from ctresample.pipelines.reconstruction.maps import origin_map, uncertainty_map
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.scan import Scan

COVERAGE = 90
PERCENTILES = range(0, 101, 2)
"""Of a map over the body: they tell the share of it above any threshold."""


def judged(volume: Volume, scan: Scan, preset: str, samples: int, prior: LearnedModel, number: int) -> dict[str, Any]:
    """One slice, reconstructed by TV and so many times by ReSample."""
    sinogram, truth = scan.scan(volume, seed=number), scanned(volume, scan.size).hu[0]
    A = make_projector(sinogram.geometry, sinogram.grid)
    reference = reconstruct(sinogram, method="tv", projector=A).image_hu
    results = [
        reconstruct(sinogram, preset=preset, prior=prior, seed=seed, projector=A, slice_numbers=[number])
        for seed in range(samples)
    ]
    image = results[0].image_hu
    judge = Judge.of(sinogram, method="resample", preset=preset, model=prior, prior=DEFAULT_PRIOR)
    trust = judge.trust(results[0], coverage=COVERAGE)
    maps: dict[str, NDArray[np.float32]] = {
        "origin": origin_map(sinogram, image, projector=A),
        "difference": image - reference,
    }
    if trust.interval:
        maps["interval"] = trust.interval.half_width_hu
    if samples > 1:
        maps["uncertainty"] = uncertainty_map([one.image_hu for one in results])
    pixel_mm = sinogram.grid.pixel_size_mm
    local = {name: local_rms(one[0], pixel_mm) for name, one in maps.items()}
    places, body = worse_places(image[0], reference[0], truth, pixel_mm), body_mask(truth)
    better = worse_places(reference[0], image[0], truth, pixel_mm)
    return {
        "places": len(places),
        "places_of_tv": len(better),
        "unlike": bool(trust.unlike),
        "at_places": {name: [round(float(one[place]), 1) for place in places] for name, one in local.items()},
        "percentiles": {name: np.percentile(one[body], PERCENTILES).round(1).tolist() for name, one in local.items()},
    }


def main() -> None:
    """Measure the slices that the file does not have."""
    parser = parser_of(__doc__)
    parser.add_argument("--set", required=True, help="what the slices are called in the file")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--samples", type=int, default=1)
    arguments = parser.parse_args()
    volumes, prior = read_ct_slices(arguments.dicom_dir), load_model(DEFAULT_PRIOR)
    rows, patients = Rows(arguments.out), patient_numbers(volumes)
    with screen() as show:
        for views in whole_numbers("--views", arguments.views):
            scan = Scan(n_views=views, photons=arguments.photons)
            for number, volume in enumerate(volumes):
                show.progress(number / len(volumes), f"{views} views, slice {number + 1} of {len(volumes)}")
                key = {"set": arguments.set, "views": views, "preset": arguments.preset, "slice": number}
                if rows.have(**key):
                    continue
                found = judged(volume, scan, arguments.preset, arguments.samples, prior, number)
                rows.add([{**key, "patient": patients[number], **found}])


if __name__ == "__main__":
    main()
