"""What a reconstruction hands back, and one line of a results table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import GeometryError


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """The figures of one slice under one method: a line of the results table, in its column order.

    Figures are NaN where there are none: of a method that failed, of a region that is empty.

    Attributes:
        condition: name of the scan: views, beam and dose.
        views: number of projection angles it was given.
        seed: of the noise and of methods that sample.
        slice: name of the slice, without patient data.
        patient: a number, the same for slices of one patient.
        method: the solver (``fbp``, ``tv``, ``resample``).
        preset: the named settings it ran with.
        psnr_db: PSNR against the truth over ``data_range_hu``, in dB.
        data_range_hu: the range that PSNR and SSIM were computed over, in HU.
        ssim: structural similarity over ``data_range_hu``.
        rmse_hu: root mean square error over the whole slice, in HU.
        mae_hu: mean absolute error over the whole slice, in HU.
        soft_tissue_rmse_hu: the same over regions of `ctresample.metrics.region_masks`, as are the next five.
        soft_tissue_mae_hu: see above.
        lung_rmse_hu: see above.
        lung_mae_hu: see above.
        body_rmse_hu: see above.
        body_mae_hu: see above.
        residual_ratio: observed data residual over the one the noise predicts. About 1 when the
            image fits the data as well as the true one would, below 1 when it fits noise.
        seconds: wall time for this slice.
        denoiser_calls: forward passes of the denoiser (of FBP-UNet: its network) with this slice in the batch.
        encoder_calls: of the autoencoder's encoder.
        decoder_calls: of the autoencoder's decoder.
        denoiser_backwards: backward passes through the denoiser.
        encoder_backwards: through the encoder.
        decoder_backwards: through the decoder.
        projections: by the operator, those in gradients and the one that measures the residual included.
        back_projections: by its adjoint; FBP's own is not one.
        peak_memory_mb: highest memory of the process above that at the start, in 10^6 bytes: resident memory, on a
            GPU what the tensors took. Of the whole batch, and blind to what was freed before and not given back.
        failure: why there is no image, in words; empty where there is one.
    """

    condition: str
    views: int
    seed: int
    slice: str
    patient: int
    method: str
    preset: str
    psnr_db: float = math.nan
    data_range_hu: float = math.nan
    ssim: float = math.nan
    rmse_hu: float = math.nan
    mae_hu: float = math.nan
    soft_tissue_rmse_hu: float = math.nan
    soft_tissue_mae_hu: float = math.nan
    lung_rmse_hu: float = math.nan
    lung_mae_hu: float = math.nan
    body_rmse_hu: float = math.nan
    body_mae_hu: float = math.nan
    residual_ratio: float = math.nan
    seconds: float = math.nan
    denoiser_calls: float = math.nan
    encoder_calls: float = math.nan
    decoder_calls: float = math.nan
    denoiser_backwards: float = math.nan
    encoder_backwards: float = math.nan
    decoder_backwards: float = math.nan
    projections: float = math.nan
    back_projections: float = math.nan
    peak_memory_mb: float = math.nan
    failure: str = ""

    @property
    def label(self) -> str:
        """Method and preset in one."""
        return f"{self.method} {self.preset}".strip()


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
