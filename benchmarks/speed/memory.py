"""Peak memory of reconstructing a volume of 100 slices, 512 x 512 pixels, 180 views, by each classical method.

Run: python benchmarks/speed/memory.py     (exit status 1 when a method takes more than 4 GB)
Each method runs in a process of its own and reconstructs noisy slices (10^4 photons a ray, so that SIRT and CGLS stop
at the noise). `--batches 2` ends each after two batches of slices: later ones need no more memory than the first.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

# nothing heavy is imported here: on Linux a child's peak begins with that of its parent
METHODS = ("fbp", "sirt", "cgls", "tv")
LIMIT_GB = 4.0
BATCH_SIZE = 8  # what `reconstruct` does when nothing is said
PHOTONS = 1e4


class _Enough(Exception):
    """The batches asked for are done."""


def main() -> None:
    """Print the peak of each method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(METHODS))
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--views", type=int, default=180)
    parser.add_argument("--batches", type=int, help="stop after so many batches; all when not given")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--markdown", type=Path, help="a page whose section 'memory' to replace")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        (method,) = arguments.methods
        print(json.dumps(measure(method, arguments.slices, arguments.size, arguments.views, arguments.batches)))
        return
    rows = []
    for method in arguments.methods:
        command = [sys.executable, __file__, *sys.argv[1:], "--methods", method, "--child"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        print(_line(row), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")
    if arguments.markdown:
        from page import write_section

        write_section(arguments.markdown, "memory", "\n".join(f"- {_line(row)}" for row in rows))
    over = [row["method"] for row in rows if row["peak_gb"] > LIMIT_GB]
    print(f"over {LIMIT_GB:g} GB: {', '.join(over)}" if over else f"all within {LIMIT_GB:g} GB")
    sys.exit(bool(over))


def measure(method: str, slices: int, size: int, views: int, batches: int | None) -> dict[str, float | str]:
    """Peak memory of this process over one reconstruction."""
    import numpy as np
    from accuracy import Disk, line_integrals

    from ctresample.geometry import ImageGrid, ParallelBeam
    from ctresample.pipelines.reconstruction.reconstruct import reconstruct
    from ctresample.sinogram import Sinogram
    from ctresample.units import MU_WATER_PER_MM

    grid = ImageGrid((size, size), 1.0)
    geometry = ParallelBeam.for_grid(grid, views)
    generator = np.random.default_rng(0)
    integrals = (MU_WATER_PER_MM * line_integrals(geometry, Disk.inside(grid))).astype(np.float32)
    values = np.empty((slices, *geometry.shape), np.float32)
    for one in values:
        one[:] = integrals + np.exp(integrals / 2) / np.sqrt(PHOTONS) * generator.standard_normal(geometry.shape)
    scan = Sinogram(values, geometry, grid, np.eye(4), photons=PHOTONS, origin="a disk")
    before_gb, began, done = _peak_gb(), time.perf_counter(), slices

    def progress(share: float) -> None:
        nonlocal done
        if batches is not None and share * slices >= batches * BATCH_SIZE:
            done = batches * BATCH_SIZE
            raise _Enough

    with suppress(_Enough):
        reconstruct(scan, method=method, batch_size=BATCH_SIZE, progress=progress)
    seconds = time.perf_counter() - began
    return {
        "method": method,
        "slices_done": done,
        "slices": slices,
        "peak_gb": _peak_gb(),
        "before_gb": before_gb,
        "seconds": seconds,
    }


def _line(row: dict[str, float | str]) -> str:
    return (
        f"{row['method']}: peak {row['peak_gb']:.2f} GB, of which {row['before_gb']:.2f} GB before it began; "
        f"{row['slices_done']} of {row['slices']} slices in {row['seconds']:.0f} s"
    )


def _peak_gb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


if __name__ == "__main__":
    main()
