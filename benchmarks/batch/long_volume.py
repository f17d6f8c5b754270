"""One long volume whose slices are coupled, in slabs: memory along the way, kills on the way, and the same result.

Run: python benchmarks/batch/long_volume.py [--slices 500] [--size 512] [--kills 3] [--method tv] [--iterations 20]
(exit status 1 where memory grows by over 10 % from the first tenth to the last, or anything differs)

A process reconstructs the volume by total variation, or by ReSample's preset `fast` with so many steps in place of
its own (and as many iterations of its last step), keeping its slabs. Its resident memory is looked at twice a second.
Then other processes do the same and are killed at random moments, until one goes on to the end; its images are
compared with those of the undisturbed one. Few iterations suffice: memory does not depend on them.
"""

from __future__ import annotations

import argparse
import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from corpus import SLICES
from resident import resident_mb

from ctresample import Volume, read_ct_series, simulate, write_sinogram

LOOK_EVERY_S = 0.5
GROWTH = 1.1
WORK = """
import sys
from dataclasses import replace
from ctresample import PRESETS, read_sinogram, reconstruct
from ctresample.pipelines.reconstruction import solve
scan, parts, image, method, iterations, batch_size = sys.argv[1:]
solve._SETTLED = solve._ROUGHLY_SETTLED = int(iterations)
few = {"n_steps": int(iterations), "final_iterations": int(iterations)}
settings = replace(PRESETS["fast"], **few) if method == "resample" else None
how = {"method": method, "settings": settings, "batch_size": int(batch_size)}
found = reconstruct(read_sinogram(scan), parts_folder=parts, **how)
import numpy as np
np.save(image, found.image_hu)
"""


def long_volume(n: int, step_mm: float) -> Volume:
    """A slice of the demo, so many times, which drifts by a pixel every fourth slice."""
    one = read_ct_series(SLICES[6])
    hu = np.stack([np.roll(one.hu[0], k // 4 % 16, axis=1) for k in range(n)])
    affine = one.affine.copy()
    affine[:3, 2] = 0, 0, step_mm
    return Volume(hu, affine)


def main() -> None:
    """Print the peak of each tenth, and what kills changed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--step-mm", type=float, default=1.0, help="from slice to slice: slabs overlap by 15 mm")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--views", type=int, default=25)
    parser.add_argument("--stagger", type=int, default=4)
    parser.add_argument("--method", choices=("tv", "resample"), default="tv")
    parser.add_argument("--iterations", type=int, default=20, help="of tv at most, and the steps of resample")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--kills", type=int, default=3)
    wanted = parser.parse_args()
    draw = random.Random(0)  # noqa: S311 (moments, no secrets)
    with tempfile.TemporaryDirectory() as place:
        scan, parts = Path(place) / "scan.h5", Path(place) / "parts"
        volume = long_volume(wanted.slices, wanted.step_mm)
        simulated = simulate(volume, n_views=wanted.views, size=wanted.size, photons=1e5, stagger=wanted.stagger)
        write_sinogram(simulated, scan)

        def start(name: str) -> subprocess.Popen[bytes]:
            words = [scan, parts / name, Path(place) / f"{name}.npy", wanted.method]
            words += [wanted.iterations, wanted.batch_size]
            return subprocess.Popen([sys.executable, "-c", WORK, *map(str, words)])

        calm, began, seen = start("calm"), time.perf_counter(), []
        while calm.poll() is None:
            n_parts = len(list((parts / "calm").glob("slices-*.npz")))
            seen.append((n_parts, resident_mb(calm.pid)))
            time.sleep(LOOK_EVERY_S)
        lasts_s = time.perf_counter() - began
        n_parts = len(list((parts / "calm").glob("slices-*.npz")))
        print(f"{wanted.slices} slices in {lasts_s:.0f} s, {lasts_s / wanted.slices:.2f} s a slice, {n_parts} slabs")
        peaks = [max((mb for n, mb in seen if n == part), default=math.nan) for part in range(n_parts)]
        print("peak MB while each slab is at work:", " ".join(f"{peak:.0f}" for peak in peaks))
        looks = [sum(n == part for n, _ in seen) for part in range(n_parts)]
        print("seconds of each (the first with loading):", " ".join(f"{n * LOOK_EVERY_S:.0f}" for n in looks))
        tenth = max(1, n_parts // 10)
        growth = np.nanmax(peaks[-tenth:]) / np.nanmax(peaks[:tenth])
        print(f"last tenth over first: {growth:.3f}")
        hits = 0
        while hits < wanted.kills:
            process = start("killed")
            time.sleep(draw.uniform(0.1, 0.9) * lasts_s)
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            hits += 1
            print(f"kill {hits}: {len(list((parts / 'killed').glob('slices-*.npz')))} slabs kept")
        status, most = 0, 0.0
        if hits:
            status = start("killed").wait()
            both = [np.load(Path(place) / f"{name}.npy") for name in ("calm", "killed")]
            most = float(np.abs(both[0] - both[1]).max())
            print(f"after {hits} kills: exit status {status}, largest difference {most:g} HU")
    sys.exit(status or calm.returncode or growth > GROWTH or most > 0)


if __name__ == "__main__":
    main()
