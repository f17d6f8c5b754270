"""Does less freedom make ReSample's worst places fewer? Tries with preset ``draft``, against total variation.

Run: python benchmarks/quality/anchoring.py VAL_DIR -o anchoring.jsonl

- ``difference at most N``: towards the TV image wherever both differ by more than N HU over a square centimetre, just
  so far that they do not. Over such a square it can then be worse than TV by about N HU at most.
- ``origin at most N``: the same way, just so far as the part that the data leave open is above N HU.
- ``half TV``: the mean of both images.
- ``four chains``: the mean of four samplings, before the last step.

A row is a slice under a try; an existing file goes on. Choices follow from validation slices only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from going_on import Rows, parser_of

from ctresample import Volume
from ctresample.cli.screen import screen
from ctresample.consistency import residual_ratio
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.learned import LearnedModel
from ctresample.metrics import DATA_RANGE_HU, local_rms, psnr_db, structure_errors, worse_places
from ctresample.operators import make_projector
from ctresample.pipelines.reconstruction.learned_models import load_model
from ctresample.pipelines.reconstruction.maps import origin_map
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.scan import Scan
from ctresample.solvers.resample import PRESETS
from ctresample.units import hu_to_mu

DIFFERENCES_HU, ORIGINS_HU = (40, 60, 80, 120), (150, 250)


def rows_of(volume: Volume, scan: Scan, number: int, prior: LearnedModel) -> Iterator[dict[str, Any]]:
    """All tries of one slice."""
    sinogram, truth = scan.scan(volume, seed=number), scanned(volume, scan.size).hu[0]
    A, pixel_mm = make_projector(sinogram.geometry, sinogram.grid), sinogram.grid.pixel_size_mm
    tv = reconstruct(sinogram, method="tv", projector=A).image_hu[0]
    given = {"prior": prior, "projector": A, "slice_numbers": [number]}
    own = reconstruct(sinogram, preset="draft", **given).image_hu[0]
    chains = reconstruct(sinogram, settings=replace(PRESETS["draft"], chains=4), **given).image_hu[0]
    differ, open_hu = (local_rms(one, pixel_mm) for one in (own - tv, origin_map(sinogram, own[None], projector=A)[0]))
    tries = {"tv": tv, "draft": own, "four chains": chains, "half TV": (own + tv) / 2}
    for what, local, limits in (("difference", differ, DIFFERENCES_HU), ("origin", open_hu, ORIGINS_HU)):
        for limit in limits:
            tries[f"{what} at most {limit}"] = tv + (own - tv) * np.minimum(1, limit / np.maximum(local, 1e-6))
    y, sigma = (torch.from_numpy(part[:, None]) for part in (sinogram.values, sinogram.sigma()))
    for name, image in tries.items():
        mu = hu_to_mu(torch.from_numpy(image.astype(np.float32))[None, None], sinogram.mu_water_per_mm)
        yield {
            "slice": number,
            "try": name,
            "psnr_db": psnr_db(image, truth, data_range_hu=DATA_RANGE_HU),
            "places_worse_than_tv": len(worse_places(image, tv, truth, pixel_mm)),
            "residual_ratio": float(residual_ratio((A(mu) - y) / sigma)),
            **structure_errors(image, truth, pixel_mm).figures,
        }


def main() -> None:
    """Measure the slices that the file does not have."""
    arguments = parser_of(__doc__).parse_args()
    scan, prior = Scan(n_views=int(arguments.views), photons=arguments.photons), load_model(DEFAULT_PRIOR)
    rows, volumes = Rows(arguments.out), read_ct_slices(arguments.dicom_dir)
    with screen() as show:
        for number, volume in enumerate(volumes):
            show.progress(number / len(volumes), f"slice {number + 1} of {len(volumes)}")
            if not rows.have(slice=number):
                rows.add(rows_of(volume, scan, number, prior))


if __name__ == "__main__":
    main()
