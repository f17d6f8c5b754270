"""What intervals, bounds and warnings are worth: measured on slices with a truth, with the prior's own calibration.

Run: python benchmarks/quality/trust.py DICOM_DIR [--views 25] [--photons 1e5] [--preset draft] [--slices N]
Prints coverage overall and by tissue of the truth, spread over error, how often the bounds hold and how tight they are,
and how often a slice is called unlike. Test slices are for figures that are reported, never for choosing anything.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.metrics import DATA_RANGE_HU, psnr_db
from ctresample.pipelines.benchmark.markdown import table
from ctresample.pipelines.calibration.judge import Judge
from ctresample.pipelines.calibration.tissues import TISSUES, tissue_numbers
from ctresample.pipelines.reconstruction.learned_models import load_model
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.scan import Scan

COVERAGE = 90


def main() -> None:
    """Reconstruct, judge, compare with the truth and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", type=Path)
    parser.add_argument("--views", type=int, default=25)
    parser.add_argument("--photons", type=float, default=1e5)
    parser.add_argument("--preset", default="draft", help="of ReSample")
    parser.add_argument("--prior", default=DEFAULT_PRIOR)
    parser.add_argument("--slices", type=int, help="take only so many, in order of path")
    arguments = parser.parse_args()
    prior, scan = load_model(arguments.prior), Scan(n_views=arguments.views, photons=arguments.photons)
    volumes = read_ct_slices(arguments.dicom_dir, max_slices=arguments.slices)
    found = []
    with screen() as show:
        for number, volume in enumerate(volumes):
            show.progress(number / len(volumes), f"slice {number + 1} of {len(volumes)}")
            sinogram = scan.scan(volume, seed=number)
            judge = Judge.of(sinogram, method="resample", preset=arguments.preset, model=prior, prior=arguments.prior)
            result = reconstruct(sinogram, preset=arguments.preset, prior=prior, slice_numbers=[number])
            found.append((judge.trust(result, coverage=COVERAGE), result.image_hu[0], scanned(volume, scan.size).hu[0]))
    print(report(*zip(*found, strict=True)))


def report(trusts, images: tuple[NDArray[np.float32], ...], truths: tuple[NDArray[np.float32], ...]) -> str:  # noqa: ANN001
    """Markdown of all slices together."""
    if any(one.interval is None for one in trusts):
        return f"No calibration fits: {trusts[0].why_not}"
    image, truth = np.stack(images), np.stack(truths)
    half = np.concatenate([one.interval.half_width_hu for one in trusts])
    error = np.abs(image - truth)
    covered, tissue = error <= half, tissue_numbers(image)
    rows = [["all", f"{covered.mean():.1%}", f"{half.mean():.0f}", "100%"]]
    for number, name in enumerate(TISSUES):
        chosen = tissue == number
        rows.append([name, f"{covered[chosen].mean():.1%}", f"{half[chosen].mean():.0f}", f"{chosen.mean():.0%}"])
    expected = np.array([one.expected_rmse_hu[0] for one in trusts])
    true = np.sqrt((error.astype(np.float64) ** 2).mean((1, 2)))
    bounds = np.array([one.psnr_at_least_db[0] for one in trusts])
    psnr = np.array([psnr_db(*pair, data_range_hu=DATA_RANGE_HU) for pair in zip(image, truth, strict=True)])
    unlike = sum(bool(one.unlike) for one in trusts)
    return "\n".join(
        [
            *table(["tissue of the image", f"{COVERAGE} % intervals cover", "mean half-width, HU", "share"], rows),
            "",
            f"Spread over error: {np.sqrt((expected**2).mean() / (true**2).mean()):.2f} (over slices "
            f"{(expected / true).min():.2f} to {(expected / true).max():.2f}).",
            f"PSNR bound: holds in {(psnr >= bounds).mean():.1%} of {len(psnr)} slices, on average "
            f"{(psnr - bounds).mean():.2f} dB below the true value.",
            f"Called unlike anything the prior has seen: {unlike} of {len(trusts)} slices.",
        ]
    )


if __name__ == "__main__":
    main()
