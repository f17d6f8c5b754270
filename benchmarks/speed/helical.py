"""What a clinical helix costs: the import of its projections, and weighted FBP of twenty slices.

Run: python benchmarks/speed/helical.py
The detector is a Siemens Flash's, 736 x 64; of its 2,304 views a turn every eighth is made, and times are told for all
of them: both are work a view. Seconds are those of the processor in one thread, whatever else runs.
"""

from __future__ import annotations

import argparse
import math
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from ctresample.data_tools.ct_pd.importing import import_projections
from ctresample.data_tools.ct_pd.write import write_projections
from ctresample.geometry import HelicalBeam, VolumeGrid
from ctresample.solvers.wfbp import wfbp

VIEWS_A_TURN, ROWS, COLUMNS, TURNS = 2304, 64, 736, 3
FEED_MM = 34.4
MU = 0.0192


def scan(every: int) -> HelicalBeam:
    """Three turns of the scanner with every so many of its views."""
    view = np.arange(TURNS * VIEWS_A_TURN // every)
    step = 2 * math.pi * every / VIEWS_A_TURN
    return HelicalBeam(
        tuple((-view * step).tolist()),
        COLUMNS,
        1.285839,
        source_to_axis_mm=595.0,
        source_to_detector_mm=1085.6,
        centre_z_mm=tuple((view * FEED_MM * every / VIEWS_A_TURN).tolist()),
        n_detector_rows=ROWS,
        detector_row_pitch_mm=1.094723,
    )


def peak_mb() -> float:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=8, help="of the scanner's views; 1: all, some minutes")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    geometry = scan(chosen.every)
    # a cylinder of water around the axis: every view of every row alike
    chord = 2 * np.sqrt(np.maximum(160.0**2 - geometry.from_axis_mm**2, 0))
    one = (MU * chord).astype(np.float32)
    values = np.broadcast_to(one, geometry.shape)
    print(
        f"{geometry.n_views} views made of {TURNS * VIEWS_A_TURN}: {ROWS} x {COLUMNS} bins, {TURNS} turns", flush=True
    )
    with tempfile.TemporaryDirectory() as home:
        write_projections(values, geometry, Path(home) / "views", mu_water_per_mm=MU, photons=[1e5] * COLUMNS)
        before, began = peak_mb(), time.process_time()
        import_projections(Path(home) / "views", Path(home) / "scan.h5")
        seconds = time.process_time() - began
        print(
            f"import: {seconds:.1f} s, {seconds * chosen.every:.0f} s for all views; memory grew by "
            f"{peak_mb() - before:.0f} MB, where the values are {values.size * 4 / 1e6:.0f} MB",
            flush=True,
        )
    middle = TURNS * FEED_MM / 2
    grid = VolumeGrid((20, 256, 256), 360 / 256, 1.0, (0.0, 0.0, middle))
    y = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    before, began = peak_mb(), time.process_time()
    image = wfbp(y, geometry, grid, window="ramp")
    seconds = time.process_time() - began
    water = float(image[0, 0, :, 96:160, 96:160].mean()) / MU
    print(
        f"weighted FBP, 20 slices of 256 x 256: {seconds:.1f} s, {seconds * chosen.every:.0f} s for all views; memory "
        f"grew by {peak_mb() - before:.0f} MB; water {1000 * (water - 1):+.1f} HU"
    )


if __name__ == "__main__":
    main()
