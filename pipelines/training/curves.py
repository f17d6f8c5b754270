"""The curves and pictures of a run: a CSV file and PNG files always, TensorBoard where it is installed."""

from __future__ import annotations

import csv
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ctresample.files import write_file

CURVES = "curves.csv"
PICTURES = "pictures"
TENSORBOARD = "tensorboard"

Row = dict[str, float]


class Curves:
    """Figures of a run by step.

    The CSV file is written anew from all rows each time, so that it never holds half a row or, after a kill, a row
    that the resumed run writes again.

    Args:
        folder: of the run.
        rows: from before a resume.
    """

    def __init__(self, folder: Path, rows: list[Row]) -> None:
        self._folder, self.rows = folder, rows
        self._writer = _tensorboard(folder / TENSORBOARD, int(rows[-1]["step"]) if rows else 0)

    def add(self, row: Row) -> None:
        """Add the figures of ``row["step"]``."""
        self.rows.append(row)
        if self._writer:
            for name, value in row.items():
                if name != "step":
                    self._writer.add_scalar(name, value, int(row["step"]))

    def write(self) -> None:
        """Bring the CSV file up to date; `OutputError` where that fails."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_file(self._folder / CURVES, text.getvalue().encode())

    def picture(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Keep a grey image ``(rows, columns)`` as ``pictures/NAME-STEP.png``."""
        (self._folder / PICTURES).mkdir(exist_ok=True)
        png = io.BytesIO()
        Image.fromarray(pixels).save(png, "PNG")
        write_file(self._folder / PICTURES / f"{name}-{step:06d}.png", png.getvalue())
        if self._writer:
            self._writer.add_image(name, pixels, step, dataformats="HW")

    def close(self) -> None:
        """Let TensorBoard have everything."""
        if self._writer:
            self._writer.close()


def _tensorboard(folder: Path, first_step: int) -> Any:
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    # what a killed run wrote after its last checkpoint is written again
    return SummaryWriter(str(folder), purge_step=first_step + 1)
