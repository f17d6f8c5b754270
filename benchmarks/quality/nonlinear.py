"""What the physics are worth: counts against their logarithm at low dose, and a tube's spectrum against one energy.

Run: python nonlinear.py VAL_DIR [--slices 2] [--methods tv,resample] [--photons 1000,2000]
Slices and a disc of water are scanned with few photons, then by a polychromatic beam with many, and reconstructed with
and without `--model counts` or `--tube-kilovolts` of the command line. Prints a Markdown table, line by line.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from ctresample.cli.options import whole_numbers, words
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.metrics import DATA_RANGE_HU, body_mask, psnr_db, rmse_hu
from ctresample.noise import add_noise
from ctresample.operators import Polychromatic, Spectrum, StreamedProjector
from ctresample.pipelines.benchmark.models import load_models
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.pipelines.reconstruction.physics import Physics
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.room import REFINEMENT
from ctresample.pipelines.scan.simulate import simulate
from ctresample.sinogram import Sinogram
from ctresample.units import AIR_HU, hu_to_mu
from ctresample.volume import Volume

SIZE, SEED = 256, 1

KILOVOLTS, PHOTONS = 120.0, 1e5
"""Of the polychromatic scan."""

WATER_RADIUS_MM, PIXEL_MM = 110.0, 0.7

RIND_MM = (5.0, 20.0)
"""Below the surface: what cupping makes too bright against the core, half as deep as the body goes and deeper."""

HEADER = ["scan", "object", "method", "model", "PSNR dB", "body RMSE HU", "body mean error HU", "rind minus core HU"]


def main() -> None:
    """Scan, reconstruct and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", type=Path, help="validation slices, never test slices")
    parser.add_argument("--slices", type=int, default=2, help="in order of path")
    parser.add_argument("--methods", default="tv,resample")
    parser.add_argument("--photons", default="1000,2000", help="a ray, at low dose; none for no such scan")
    parser.add_argument("--views", type=int, default=25)
    parser.add_argument("--prior", default=DEFAULT_PRIOR)
    arguments = parser.parse_args()
    methods = words("--methods", arguments.methods)
    models = load_models([Run(method) for method in methods], {"latent prior": arguments.prior}, torch.device("cpu"))
    prior = models["latent prior"] if models else None
    objects = {"water": water_disc()}
    for number, volume in enumerate(read_ct_slices(arguments.dicom_dir, max_slices=arguments.slices), 1):
        objects[f"slice {number}"] = volume
    print(line(HEADER))
    print(line(["---"] * len(HEADER)))
    doses = [] if arguments.photons == "none" else whole_numbers("--photons", arguments.photons)
    for scan, name, sinogram, ways in scans(objects, arguments.views, doses):
        truth = scanned(objects[name], SIZE).hu[0]
        for method in methods:
            for way, physics in ways.items():
                found = reconstruct(sinogram, method=method, prior=prior, seed=SEED, physics=physics).image_hu[0]
                pixel_mm = sinogram.grid.pixel_size_mm
                print(line([scan, name, method, way, *figures(found, truth, pixel_mm)]), flush=True)


def scans(
    objects: dict[str, Volume], n_views: int, doses: Sequence[int]
) -> Iterator[tuple[str, str, Sinogram, dict[str, Physics]]]:
    """Name of the scan and of the object, the sinogram, and the models to compare on it."""
    for photons in doses:
        for name, volume in objects.items():
            sinogram = simulate(volume, n_views=n_views, size=SIZE, photons=photons, seed=SEED)
            yield f"{photons} photons", name, sinogram, {"logarithm": Physics(), "counts": Physics("counts")}
    for name, volume in objects.items():
        ways = {"one energy": Physics(), "spectrum": Physics(tube_kilovolts=KILOVOLTS)}
        yield f"{KILOVOLTS:g} kV tube", name, polychromatic_scan(volume, n_views), ways


def polychromatic_scan(volume: Volume, n_views: int) -> Sinogram:
    """As `simulate` does it, finer than the reconstruction; by a spectrum finer than the reconstruction's as well."""
    plain = simulate(volume, n_views=n_views, size=SIZE)
    geometry = plain.geometry.with_bins_split(REFINEMENT)
    beam = Polychromatic(
        StreamedProjector(geometry, plain.grid.refined(REFINEMENT)), Spectrum.of_tube(KILOVOLTS, step_kev=1)
    )
    mu = torch.from_numpy(hu_to_mu(scanned(volume, SIZE * REFINEMENT).hu))[:, None]
    intensity = torch.exp(-beam(mu))[:, 0].double().numpy()
    transmission = intensity.reshape(*intensity.shape[:2], -1, REFINEMENT).mean(axis=3)
    values = add_noise(transmission, photons=PHOTONS, electronic_noise=0.0, generator=np.random.default_rng(SEED))
    return replace(plain, values=values, photons=PHOTONS)


def water_disc() -> Volume:
    """Water in air, 22 cm across."""
    x_mm = (np.arange(2 * SIZE) - (2 * SIZE - 1) / 2) * PIXEL_MM
    inside = np.hypot(x_mm, x_mm[:, None]) < WATER_RADIUS_MM
    return Volume(np.where(inside, 0, AIR_HU).astype(np.float32)[None], np.diag([PIXEL_MM, PIXEL_MM, 1.0, 1.0]))


def figures(image_hu: NDArray[np.float32], truth_hu: NDArray[np.float32], pixel_mm: float) -> list[str]:
    """The columns of the table; the mean errors leave out what lies within the rind's outer edge of the surface."""
    depth_mm = distance_transform_edt(body_mask(truth_hu)) * pixel_mm
    error = image_hu - truth_hu
    rind = (depth_mm > RIND_MM[0]) & (depth_mm < RIND_MM[1])
    core = depth_mm > depth_mm.max() / 2
    return [
        f"{psnr_db(image_hu, truth_hu, data_range_hu=DATA_RANGE_HU):.2f}",
        f"{rmse_hu(image_hu, truth_hu, depth_mm > 0):.1f}",
        f"{error[depth_mm > RIND_MM[0]].mean():+.1f}".replace("-", "−"),
        f"{error[rind].mean() - error[core].mean():+.1f}".replace("-", "−"),
    ]


def line(cells: Sequence[str]) -> str:
    """Of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
