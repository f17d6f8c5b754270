"""A measured scan by every method, from all views and from every tenth, judged by the views that were left out.

Run: python benchmarks/quality/measured_scan.py -o measured
Prints a Markdown table, and writes results.jsonl and picture.png into the folder. Took nine minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from measured_picture import draw
from numpy.typing import NDArray

import ctresample
from ctresample.cli.screen import screen
from ctresample.data_tools.importers import import_sinogram
from ctresample.learned.latent_prior import LatentPrior
from ctresample.operators import Projector, make_projector
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.sinogram import Sinogram
from ctresample.units import hu_to_mu

sys.path.append(str(Path(__file__).parents[1] / "docs"))
from trust_tables import name_of, trust_table

SCAN = Path(ctresample.__file__).parent / "demo_data" / "htc2022_tb_stitched.npz"
SIDECAR = SCAN.with_suffix(".json")
"""What the file does not say: the noise is estimated, the grid is what the prior takes, and "water" is such that the
plastic comes out at about 140 HU, near acrylic in a clinical scan."""

STEP = 10
"""Every tenth view is kept."""

ORDER = ("fbp", "sirt", "cgls", "wls", "tv", "resample")

Image = NDArray[np.floating]


@dataclass(frozen=True)
class Row:
    """One method on one set of views.

    Attributes:
        method: as `reconstruct` names it.
        views: reconstructed from.
        fitted_ratio: root mean square misfit to these views, in standard deviations of their noise.
        other_ratio: the same to the views in between, mean over views. Of all views, these were fitted too.
        other_spread: its standard deviation over views.
        difference: from the reference inside the disc, relative.
        seconds: wall time, without building the projector.
    """

    method: str
    views: int
    fitted_ratio: float
    other_ratio: float
    other_spread: float
    difference: float
    seconds: float


def main() -> None:
    """Print the table; write figures and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for results.jsonl and picture.png")
    arguments = parser.parse_args()
    with screen() as show:
        show.progress(0, "reading the scan")
        whole = import_sinogram(SCAN, sidecar=SIDECAR, on_note=show.note)
        show.progress(0, "building the projectors")
        A, tenth = make_projector(whole.geometry, whole.grid), whole.every(STEP)
        make_projector(tenth.geometry, tenth.grid)  # stored: no method pays for it
        prior = LatentPrior.from_pretrained(DEFAULT_PRIOR)
        began, images = time.perf_counter(), {}
        seconds, ratios = {}, {}
        todo = [(scan, method) for scan in (tenth, whole) for method in ORDER]
        for k, (scan, method) in enumerate(todo):
            key, label = (method, scan.geometry.n_views), f"{method}, {scan.geometry.n_views} views"

            def watch(share: float, k: int = k, label: str = label) -> None:
                show.progress((k + share) / len(todo), label)

            result = reconstruct(scan, method=method, prior=prior if method == "resample" else None, progress=watch)
            images[key] = hu_to_mu(result.image_hu[0].astype(np.float64), scan.mu_water_per_mm)
            seconds[key], ratios[key] = result.seconds, result.residual_ratio[0]
            show.note(f"{label}: {result.seconds:.1f} s, misfit {ratios[key]:.2f}")
        reference = images["tv", whole.geometry.n_views]
        inside, rows = disc(reference), []
        for (method, views), image in images.items():
            others = np.delete(misfit(image, whole, A), slice(None, None, STEP))
            rows.append(
                Row(
                    method,
                    views,
                    ratios[method, views],
                    float(others.mean()),
                    float(others.std()),
                    relative_difference(image, reference, inside),
                    seconds[method, views],
                )
            )
        show.note(f"{time.perf_counter() - began:.0f} s for all methods")
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = arguments.out / "results.jsonl"
    results.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")
    draw(
        {(name_of(method), views): image for (method, views), image in images.items()},
        whole.grid,
        arguments.out / "picture.png",
    )
    print(f"{whole.photons:,.0f} photons a ray, estimated\n\n{trust_table('measured', results)}")


def misfit(image: Image, scan: Sinogram, A: Projector) -> Image:
    """Root mean square misfit of an image in 1/mm to each view of a scan, in standard deviations of its noise."""
    projected = A(torch.from_numpy(image).float()[None, None])[:, 0].numpy()
    return np.sqrt(np.mean(((projected - scan.values) / scan.sigma()) ** 2, axis=(0, 2)))


def disc(image: Image) -> NDArray[np.bool_]:
    """Pixels of the largest object with its holes: what is denser than half of the dense material, filled."""
    from scipy.ndimage import binary_fill_holes, label

    labels, _ = label(image > image.max() / 2)
    return binary_fill_holes(labels == np.bincount(labels.ravel())[1:].argmax() + 1)


def relative_difference(image: Image, reference: Image, inside: NDArray[np.bool_]) -> float:
    """Euclidean distance of two images over the norm of the second, both inside a mask."""
    return float(np.linalg.norm((image - reference)[inside]) / np.linalg.norm(reference[inside]))


if __name__ == "__main__":
    main()
