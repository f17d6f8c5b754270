"""How the default TV weight was chosen, and that TV is converged at its default tolerance.

Run: python benchmarks/quality/tune_tv.py DICOM_DIR   (validation slices, never test slices)
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch

from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.metrics import DATA_RANGE_HU, psnr_db, ssim
from ctresample.operators import SparseProjector
from ctresample.pipelines.scan.simulate import simulate
from ctresample.regrid import to_square_grid
from ctresample.solvers.tv import tv
from ctresample.units import mu_to_hu


def main() -> None:
    """Print mean PSNR, SSIM, iterations and time for each weight and tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", type=Path)
    parser.add_argument("--views", type=int, default=25)
    parser.add_argument("--photons", type=float, default=1e5)
    parser.add_argument("--weights", default="2,3,5,7,10,20")
    parser.add_argument("--tolerances", default="1,0.3")
    parser.add_argument("--max-slices", type=int)
    arguments = parser.parse_args()
    cases = []
    for volume in read_ct_slices(arguments.dicom_dir, max_slices=arguments.max_slices):
        scan = simulate(volume, n_views=arguments.views, photons=arguments.photons)
        cases.append((scan, to_square_grid(volume, 256).hu[0].clip(min=-1000)))
    for weight in map(float, arguments.weights.split(",")):
        for tolerance in map(float, arguments.tolerances.split(",")):
            psnrs, ssims, iterations = [], [], []
            began = time.perf_counter()
            for scan, truth in cases:
                y, sigma = (torch.from_numpy(a)[:, None] for a in (scan.values, scan.sigma()))
                A = SparseProjector(scan.geometry, scan.grid)
                last = [0]
                x = tv(
                    y, A, sigma=sigma, weight=weight, tolerance_hu=tolerance,
                    callback=lambda status, last=last: last.__setitem__(0, status.step),
                )  # fmt: skip
                image = mu_to_hu(x)[0, 0].numpy()
                psnrs.append(psnr_db(image, truth, data_range_hu=DATA_RANGE_HU))
                ssims.append(ssim(image, truth, data_range_hu=DATA_RANGE_HU))
                iterations.append(last[0])
            print(
                f"weight {weight:5.1f}  tolerance {tolerance:4.2f} HU  PSNR {statistics.mean(psnrs):6.3f} "
                f"± {statistics.stdev(psnrs):.2f} dB  SSIM {statistics.mean(ssims):.4f}  "
                f"{statistics.mean(iterations):6.0f} iterations  {(time.perf_counter() - began) / len(cases):5.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
