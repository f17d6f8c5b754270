"""Draw the figures of the geometry page: ``python benchmarks/figures/geometry.py``.

Small scans with offsets that are large enough to be seen; the page quotes their values.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import ctresample
from ctresample.geometry import ConeBeam, FanBeam, Geometry, Grid, HelicalBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.pipelines.figure.geometry_figure import draw_scan

FIGURES = Path(ctresample.__file__).parent / "docs" / "figures"

ANGLES = tuple(np.radians(np.arange(0.0, 360.0, 10.0)))
SLICE = ImageGrid((6, 8), 12.0, aspect=1.25, centre_mm=(6.0, -4.0))
FAN = {"source_to_axis_mm": 200.0, "source_to_detector_mm": 320.0, "axis_offset_mm": 15.0, "detector_offset_mm": 20.0}

SCANS: dict[str, tuple[Geometry, Grid, int]] = {
    "parallel": (ParallelBeam(ANGLES[:18], 13, 12.0, detector_offset_mm=15.0), SLICE, 3),
    "fan-flat": (FanBeam(ANGLES, 13, 20.0, **FAN), SLICE, 3),
    "fan-curved": (FanBeam(ANGLES[:26], 13, 20.0, **FAN, detector_shape="curved"), SLICE, 14),
    "cone": (
        ConeBeam(ANGLES, 13, 20.0, **FAN, n_detector_rows=7, detector_row_pitch_mm=16.0, detector_row_offset_mm=14.0),
        VolumeGrid((5, 6, 8), 12.0, 10.0, centre_mm=(6.0, -4.0, 5.0)),
        3,
    ),
    "helical": (
        HelicalBeam(
            ANGLES,
            13,
            20.0,
            20.0,
            source_to_axis_mm=200.0,
            source_to_detector_mm=320.0,
            centre_z_mm=tuple(np.linspace(-40.0, 40.0, len(ANGLES))),
            n_detector_rows=7,
            detector_row_pitch_mm=16.0,
        ),
        VolumeGrid((5, 6, 8), 12.0, 10.0, centre_mm=(6.0, -4.0, 5.0)),
        30,
    ),
}


def main() -> None:
    FIGURES.mkdir(exist_ok=True)
    for name, (geometry, grid, view) in SCANS.items():
        path = FIGURES / f"geometry-{name}.png"
        figure = draw_scan(geometry, grid, view=view)
        figure.savefig(path)
        # a palette is enough for lines, and a third the size
        with Image.open(path) as picture:
            picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
