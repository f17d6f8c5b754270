"""Does the warning fire at what the prior has not seen? Scores of a head, a plastic disc, metal and water.

Run: python benchmarks/quality/unlike.py --head HEAD_DIR --chest CHEST_DIR -o unlike.jsonl

Reconstructed with ReSample's preset ``draft``, from 25 views and 1e5 photons a ray, or of the measured disc from every
tenth view; judged with the bundled prior's calibrations, the strictest where none fits. A row is a thing: the score of
each slice in units of the limit, above which the warning fires.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measured_scan import SCAN as DISC
from measured_scan import STEP

from ctresample import Volume
from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.data_tools.importers import import_sinogram
from ctresample.pipelines.calibration.judge import Judge
from ctresample.pipelines.reconstruction.learned_models import load_model
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.scan import Scan
from ctresample.sinogram import Sinogram

SCANNED = Scan(n_views=25, photons=1e5)
METAL_HU, RODS = 8000.0, ((60.0, 0.0, 6.0), (-40.0, 20.0, 6.0))
"""Titanium, about; x, y and radius of each rod in mm."""


def water(radius_mm: float = 120.0) -> Volume:
    """A cylinder, on pixels of 1.4 mm."""
    x, y = _axes_mm(256, 1.4)
    hu = np.where(np.hypot(x, y) < radius_mm, 0.0, -1000.0)
    return Volume(hu[None].astype(np.float32), np.diag([1.4, 1.4, 5.0, 1.0]))


def with_metal(volume: Volume) -> Volume:
    """A slice with rods."""
    hu, pixel_mm = volume.hu.copy(), volume.spacing_mm[0]
    x, y = _axes_mm(hu.shape[-1], pixel_mm)
    for x_mm, y_mm, radius_mm in RODS:
        hu[0][np.hypot(x - x_mm, y - y_mm) < radius_mm] = METAL_HU
    return volume.with_hu(hu)


def _axes_mm(n: int, pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    y, x = (np.mgrid[:n, :n] - (n - 1) / 2) * pixel_mm
    return x, y


def things(head: Path, chest: Path, n_slices: int) -> Iterator[tuple[str, Sinogram]]:
    """Scans, a slice each."""
    for what, folder in (("head", head), ("chest and abdomen (validation)", chest)):
        volumes = read_ct_slices(folder)
        for k in np.linspace(0, len(volumes) - 1, n_slices).round().astype(int):
            yield what, SCANNED.scan(volumes[k], seed=int(k))
            if what != "head" and k == 0:
                yield "metal in a chest", SCANNED.scan(with_metal(volumes[k]))
    yield "metal in water", SCANNED.scan(with_metal(water()))
    yield "water", SCANNED.scan(water())
    yield "measured plastic disc", import_sinogram(DISC).every(STEP)


def main() -> None:
    """Reconstruct, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--head", type=Path, required=True)
    parser.add_argument("--chest", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--slices", type=int, default=7, help="of head and chest, evenly spaced in order of path")
    arguments = parser.parse_args()
    prior, shares = load_model(DEFAULT_PRIOR), {}
    with screen() as show:
        for what, sinogram in things(arguments.head, arguments.chest, arguments.slices):
            show.progress(0, what)
            judge = Judge.of(sinogram, method="resample", preset="draft", model=prior, prior=DEFAULT_PRIOR)
            result = reconstruct(sinogram, preset="draft", prior=prior, z_coupling="none")
            trust = judge.trust(result)
            shares.setdefault(what, []).append(round(trust.scores[0] / trust.limit, 3))
    rows = [
        {"what": what, "slices": len(own), "warned": sum(one > 1 for one in own), "shares_of_limit": own}
        for what, own in shares.items()
    ]
    arguments.out.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


if __name__ == "__main__":
    main()
