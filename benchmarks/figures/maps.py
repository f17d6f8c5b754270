"""Draw the figure of the page on results: ``python benchmarks/figures/maps.py RESULT SOURCE``.

RESULT is what ``ctresample reconstruct scan.h5 -o RESULT --format nrrd --residual-map --uncertainty 4`` wrote of a scan
of SOURCE, the DICOM folder of ``ctresample/demo_data/slice-01.dcm`` alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import SimpleITK
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

import ctresample
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.pipelines.scan.measure import scanned

FIGURE = Path(ctresample.__file__).parent / "docs" / "figures" / "maps.png"
COLOURS = 192
"""Enough for an even grey scale, at half the size of the file."""


def read(path: Path) -> NDArray[np.float32]:
    """The first slice of a volume."""
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0]


def main(result: Path, source: Path) -> None:
    image = read(result / "reconstruction.nrrd")
    error = image - scanned(read_ct_series(source), len(image)).hu[0]
    panels = [
        ("reconstruction", image, "gray", (-160, 240)),
        ("its error, unknown in practice", error, "RdBu_r", (-150, 150)),
        ("residual map", read(result / "residual-map.nrrd"), "RdBu_r", (-75, 75)),
        ("uncertainty map", read(result / "uncertainty-map.nrrd"), "magma", (0, 100)),
    ]
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for ax, (title, values, colours, (low, high)) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        shown = ax.imshow(values, colours, vmin=low, vmax=high)
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize=10)
        bar = figure.colorbar(shown, ax=ax, orientation="horizontal", shrink=0.85, pad=0.02)
        bar.set_label("HU", fontsize=8)
        bar.ax.tick_params(labelsize=8)
    canvas.draw()
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
    drawn.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(FIGURE, optimize=True)
    print(f"{FIGURE.name}: {FIGURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
