r"""Volumes, coupled along z or slice by slice, with the same angles or staggered ones; and cone beams.

Run, for the tables of ctresample/docs/volumes.md::

    python benchmarks/quality/volumes.py TEST_VOLUMES -o slices --slices 16 --stagger 1,5 --presets fast \
        --couplings none,1
    python benchmarks/quality/volumes.py TEST_VOLUME -o cone --beam cone --size 128 --between 64 --views 25,50
    python benchmarks/quality/volumes.py --sphere

Results are kept as they come, in OUT/results.jsonl, and the same command goes on where it was stopped; more methods and
scans may be added later. ``--between N`` makes N slices of each volume by linear interpolation between its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ctresample import Volume, VolumeGrid, reconstruct, simulate
from ctresample.cli.options import whole_numbers, words
from ctresample.data_tools.ct_volumes import read_ct_volumes
from ctresample.pipelines.benchmark.conditions import every_condition
from ctresample.pipelines.benchmark.models import load_models
from ctresample.pipelines.benchmark.outputs import MARKDOWN_NAME
from ctresample.pipelines.benchmark.resumable import run_benchmark
from ctresample.pipelines.benchmark.runs import coupled_runs, runs_of
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR
from ctresample.pipelines.scan.scan import Scan
from ctresample.testing.phantoms import Sphere, volume_image
from ctresample.units import AIR_HU

PHOTONS = 1e5
RADIUS_MM, CENTRE_MM = 55.0, (5.0, -8.0, 0.0)
CORE = 0.7
"""Of the sphere's radius: what is far from its edge."""


def with_slices_between(volume: Volume, n: int) -> Volume:
    """The same volume in ``n`` slices, by linear interpolation."""
    at = np.linspace(0, len(volume.hu) - 1, n)
    below = np.minimum(at.astype(int), len(volume.hu) - 2)
    share = (at - below)[:, None, None].astype(np.float32)
    affine = volume.affine.copy()
    affine[:3, 2] *= (len(volume.hu) - 1) / (n - 1)
    return Volume((1 - share) * volume.hu[below] + share * volume.hu[below + 1], affine)


def measure_sphere(presets: Sequence[str]) -> None:
    """Print the mean of the core of a sphere of water in a cone beam of 25 views.

    It is scanned on pixels half as large, as volumes are. Exact integrals of a sharp sphere are no image of large
    voxels: methods that trust 1e5 photons would look for its edge in the core.
    """
    fine = VolumeGrid((32, 128, 128), 2.0, 4.0)
    hu = AIR_HU * (1 - volume_image(fine, [Sphere(1.0, CENTRE_MM, RADIUS_MM)]))
    volume = Volume(hu.astype(np.float32), np.diag([2.0, 2.0, 4.0, 1.0]))
    sinogram = simulate(volume, n_views=25, beam="cone", size=64, photons=PHOTONS)
    z, y, x = np.meshgrid(*sinogram.grid.axes_mm, indexing="ij")
    core = np.linalg.norm(np.stack([x, y, z], axis=-1) - CENTRE_MM, axis=-1) < CORE * RADIUS_MM
    for method, preset in (("fbp", ""), ("tv", ""), *(("resample", preset) for preset in presets)):
        found = reconstruct(sinogram, method=method, **({"preset": preset} if preset else {}))
        hu = found.image_hu[core]
        print(
            f"{method} {preset}: {hu.mean():+.2f} HU in the core, standard deviation {hu.std():.1f} HU, "
            f"data residual {found.residual_ratio[0]:.2f}",
            flush=True,
        )


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", type=Path, nargs="?")
    parser.add_argument("-o", "--out", type=Path, help="folder for the results: new, or to go on with")
    parser.add_argument("--methods", default="tv,resample", help="with commas between")
    parser.add_argument("--presets", default="draft", help="of ReSample")
    parser.add_argument("--couplings", default="none,auto", help="the first goes by the method's own name")
    parser.add_argument("--beam", default="parallel")
    parser.add_argument("--views", default="25")
    parser.add_argument("--stagger", default="1")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--slices", type=int, help="take so many in the middle of each volume")
    parser.add_argument("--between", type=int, help="make so many of each volume")
    parser.add_argument("--sphere", action="store_true", help="measure the sphere phantom instead")
    wanted = parser.parse_args()
    presets = words("--presets", wanted.presets)
    if wanted.sphere:
        measure_sphere(presets)
        return
    volumes = read_ct_volumes(wanted.dicom_dir, max_slices=wanted.slices)
    if wanted.between:
        volumes = [with_slices_between(one, wanted.between) for one in volumes]
    scan = Scan(n_views=25, photons=PHOTONS)
    staggers = whole_numbers("--stagger", wanted.stagger)
    runs = coupled_runs(runs_of(words("--methods", wanted.methods), presets), words("--couplings", wanted.couplings))
    run_benchmark(
        wanted.out,
        volumes,
        runs=runs,
        conditions=every_condition(scan, whole_numbers("--views", wanted.views), [wanted.beam], [PHOTONS], staggers),
        size=wanted.size,
        models=load_models(runs, {"latent prior": DEFAULT_PRIOR}, "cpu"),
        baseline=runs[0].label,
        by_volume=True,
        grows=("runs", "conditions", "models"),
        on_row=lambda row: print(f"{row.label}, {row.slice}, {row.condition}: {row.psnr_db:.2f} dB", flush=True),
    )
    print((wanted.out / MARKDOWN_NAME).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
