"""Rings and zingers planted in scans of a disc and of a CT slice: how far each way of removing them is from without.

    python benchmarks/quality/cleaning.py SLICE.dcm

Prints a table: root mean square of the difference to the image of the same scan without faults, in HU, by FBP inside
the field of view; with the faults planted, and where there are none. The rivals are the published formulas in a few
lines each. docs/sinograms.md has the figures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from ctresample import Volume, read_ct_series, simulate
from ctresample.cleaning import cleaned
from ctresample.operators import make_projector
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.sinogram import Sinogram

SIZE = 192


def disc() -> Volume:
    """Water off the axis, with bone, lung and a rod."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    hu = np.full((1, SIZE, SIZE), -1000, np.float32)
    for value, radius, at in ((0, 75, (12, -5)), (300, 10, (40, 0)), (-500, 15, (-20, 20)), (1000, 4, (12, 30))):
        hu[0, np.hypot(x - at[0], y - at[1]) < radius] = value
    return Volume(hu, np.diag([1.5, 1.5, 2, 1]))


def with_rings(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Gains of all bins off by 0.4 %, of one in twenty by 10 %."""
    n = values.shape[2]
    offsets = generator.normal(0, 0.004, n)
    offsets[generator.permutation(n)[: n // 20]] += generator.normal(0, 0.1, n // 20)
    return values + offsets


def with_zingers(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One ray in 500 reads up to the whole open beam more."""
    hit = generator.random(values.shape) < 0.002
    return -np.log(np.exp(-values) + np.where(hit, generator.uniform(0.02, 1, values.shape), 0))


def normalised(values: np.ndarray) -> np.ndarray:
    """Rivers, 1998: the mean view less itself smoothed."""
    mean = values.mean(axis=1, keepdims=True)
    return values - (mean - gaussian_filter1d(mean, 9.0, axis=-1))


def by_sorting(values: np.ndarray) -> np.ndarray:
    """Vo, Atwood and Drakopoulos, Opt. Express 26(22), 2018, algorithm 3: each bin sorted, then a median across."""
    order = np.argsort(values, axis=1, kind="stable")
    smooth = median_filter(np.take_along_axis(values, order, axis=1), size=(1, 1, 21))
    made = np.empty_like(smooth)
    np.put_along_axis(made, order, smooth, axis=1)
    return made


def by_median(values: np.ndarray) -> np.ndarray:
    """What many programs do with zingers: whatever is far above or below the median of 3 x 3 rays becomes that."""
    middle = median_filter(values, size=(1, 3, 3))
    return np.where(np.abs(values - middle) > 0.1, middle, values)


def row(fault: str, scan: Sinogram) -> str:
    """How far each way is, with the fault and without."""
    plant, rivals = CASES[fault]
    A = make_projector(scan.geometry, scan.grid)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside = np.hypot(x, y) < 0.47 * SIZE

    def hu(made: Sinogram) -> np.ndarray:
        return reconstruct(made, method="fbp", projector=A).image_hu[0][inside]

    truth = hu(scan)
    planted = plant(scan.values.astype(np.float64), np.random.default_rng(0))
    faulty = replace(scan, values=planted.astype(np.float32))
    parts = []
    for way, change in {"nothing": lambda values: values, **rivals, "ctresample": None}.items():
        errors = []
        for one in (faulty, scan):
            made = cleaned(one, [fault]) if change is None else replace(one, values=change(one.values))
            errors.append(float(np.sqrt(np.mean((hu(made) - truth) ** 2))))
        parts.append(f"{way} {errors[0]:.2f} / {errors[1]:.2f}")
    return "; ".join(parts)


CASES: dict[str, tuple[Callable[..., np.ndarray], dict[str, Callable[[np.ndarray], np.ndarray]]]] = {
    "rings": (with_rings, {"mean profile": normalised, "sorting": by_sorting}),
    "zingers": (with_zingers, {"median": by_median}),
}


def main() -> None:
    """The table of both faults."""
    volumes = {"disc": disc(), "slice": read_ct_series(sys.argv[1])}
    for fault in CASES:
        for name, volume in volumes.items():
            for n_views in (360, 60):
                scan = simulate(volume, n_views=n_views, size=SIZE, photons=1e5, seed=1)
                print(f"{fault}, {name}, {n_views} views: {row(fault, scan)}", flush=True)


if __name__ == "__main__":
    main()
