"""What a reconstruction hands back, and one line of a results table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import GeometryError


@dataclass(frozen=True)
class ResultRow:
    """The figures of one slice under one method: a line of the results table, in its column order.

    Attributes:
        slice: name of the slice, without patient data.
        method: the solver (``fbp``, ``tv``, ``resample``).
        preset: the named settings it ran with.
        views: number of projection angles it was given.
        psnr_db: PSNR against the truth over ``data_range_hu``, in dB.
        data_range_hu: the range that PSNR and SSIM were computed over, in HU.
        ssim: structural similarity over ``data_range_hu``.
        rmse_hu: root mean square error, in HU.
        residual_ratio: observed data residual over the one the noise predicts. About 1 when the
            image fits the data as well as the true one would, below 1 when it fits noise.
        seconds: wall time for this slice.
    """

    slice: str
    method: str
    preset: str
    views: int
    psnr_db: float
    data_range_hu: float
    ssim: float
    rmse_hu: float
    residual_ratio: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """Reconstructed slices with what is needed to judge and to repeat them.

    Keyword-only: two of its fields are tuples of floats that are easily swapped.

    Attributes:
        image_hu: float32 array ``[slice, y, x]`` in HU.
        residual_ratio: one value a slice: observed data residual over the one the noise predicts. The slices of a
            cone beam, which are measured together, have one value in common.
        residual_history: data residual after each step, mean over slices; empty for a direct method.
        seconds: wall time for all slices.
        settings: every setting the solver ran with, by name.
        seed: of the random generator; ``None`` when the method draws no random numbers.
        method: the solver.
        preset: the named settings it started from.
    """

    image_hu: NDArray[np.float32]
    residual_ratio: tuple[float, ...]
    residual_history: tuple[float, ...]
    seconds: float
    settings: dict[str, Any]
    seed: int | None
    method: str
    preset: str

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        if self.image_hu.ndim != 3 or 0 in self.image_hu.shape:
            raise GeometryError(f"image_hu has shape {self.image_hu.shape}; expected (slices, rows, columns), none 0")
        if len(self.residual_ratio) != len(self.image_hu):
            raise GeometryError(f"{len(self.image_hu)} slices but {len(self.residual_ratio)} residual ratios")
