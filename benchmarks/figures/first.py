"""The README's picture: a sample slice from 25 views, by filtered back projection, total variation and ReSample.

Run: python benchmarks/figures/first.py [OUT.png]     (a minute on two cores; by default the picture in the docs)
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import ctresample
from ctresample import metrics, reconstruct, simulate
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.pipelines.demo import SLICES
from ctresample.pipelines.scan.measure import scanned
from ctresample.units import WINDOWS

PICTURE = Path(ctresample.__file__).parent / "docs" / "figures" / "first.png"
NUMBER, SIZE, VIEWS, PHOTONS = 8, 256, 25, 1e5
ROWS, COLUMNS = slice(30, 226), slice(20, 236)  # of the slice, without the air around
METHODS = {"FBP": ("fbp", ""), "total variation": ("tv", ""), "ReSample": ("resample", "fast")}


def main() -> None:
    """Draw it."""
    volume = read_ct_slices(SLICES)[NUMBER]
    scan = simulate(volume, n_views=VIEWS, photons=PHOTONS, size=SIZE)
    truth = scanned(volume, SIZE).hu[0]
    images = {"truth": truth}
    for label, (method, preset) in METHODS.items():
        images[label] = reconstruct(scan, method=method, preset=preset or "fast").image_hu[0]
    level, width = WINDOWS["soft tissue"]
    figure, axes = plt.subplots(1, len(images), figsize=(12, 3.3), layout="constrained")
    for axis, (label, hu) in zip(axes, images.items(), strict=True):
        axis.imshow(hu[ROWS, COLUMNS], "gray", vmin=level - width / 2, vmax=level + width / 2, interpolation="bicubic")
        psnr = metrics.psnr_db(hu, truth, data_range_hu=metrics.DATA_RANGE_HU)
        axis.set_title(label if np.isinf(psnr) else f"{label}, {psnr:.1f} dB", fontsize=11)
        axis.set_axis_off()
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else PICTURE, dpi=110)


if __name__ == "__main__":
    main()
