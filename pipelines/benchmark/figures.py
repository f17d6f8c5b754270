"""The measured columns of a results table: how each is headed, rounded for reading, and which value is the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A measured column.

    Attributes:
        name: the column, an attribute of ``ResultRow``.
        heading: with its unit.
        decimals: shown in tables; the CSV keeps six significant digits.
        best: the highest value, the lowest, or the one nearest to 1 by its logarithm; "none" of what is a price, and
            no merit.
    """

    name: str
    heading: str
    decimals: int
    best: Literal["high", "low", "one", "none"] = "low"

    def text(self, value: float) -> str:
        """The value as shown to a reader: fixed decimals, a dash where there is none."""
        return "–" if math.isnan(value) else f"{value:.{self.decimals}f}"

    def signed(self, value: float) -> str:
        """The same of a difference."""
        shown = round(value, self.decimals) + 0.0  # no minus before a zero
        return "–" if math.isnan(value) else f"{shown:+.{self.decimals}f}".replace("-", "−")

    def best_of(self, values: Sequence[float]) -> list[bool]:
        """Mark the best; values that read the same share the mark, and a lone value gets none."""
        costs = [self._cost(value) for value in values]
        return [len(costs) > 1 and cost < math.inf and cost == min(costs) for cost in costs]

    def _cost(self, value: float) -> float:
        if math.isnan(value) or self.best == "none":
            return math.inf
        shown = round(value, self.decimals)
        if self.best == "one":
            return abs(math.log(shown)) if shown > 0 else math.inf
        return -shown if self.best == "high" else shown


MAIN = (
    Figure("psnr_db", "PSNR dB", 2, "high"),
    Figure("ssim", "SSIM", 3, "high"),
    Figure("rmse_hu", "RMSE HU", 1),
    Figure("soft_tissue_rmse_hu", "Soft RMSE HU", 1),
    Figure("flicker", "Flicker", 2, "one"),
    Figure("residual_ratio", "Residual ratio", 2, "one"),
    Figure("seconds", "Seconds", 2, "none"),
)
"""What a reader wants first; flicker is of volumes alone."""

REGIONS = (
    Figure("mae_hu", "MAE HU", 1),
    Figure("soft_tissue_mae_hu", "Soft MAE HU", 1),
    Figure("lung_rmse_hu", "Lung window RMSE HU", 1),
    Figure("lung_mae_hu", "Lung window MAE HU", 1),
    Figure("body_rmse_hu", "Body RMSE HU", 1),
    Figure("body_mae_hu", "Body MAE HU", 1),
)
"""Errors of parts of the image."""

STRUCTURES = (
    Figure("worst_region_rmse_hu", "Worst region RMSE HU", 1),
    Figure("dense_spots", "Dense spots", 2),
    Figure("lost_spots", "Lost spots", 2),
)
"""Errors that have a place."""

ORIGINS = (
    Figure("measured_rmse_hu", "Measured part HU", 1),
    Figure("invented_rmse_hu", "Invented part HU", 1),
)
"""The error in two parts: what the data could have told, and what they leave open."""

COSTS = (
    Figure("denoiser_calls", "Denoiser", 0),
    Figure("encoder_calls", "Encoder", 0),
    Figure("decoder_calls", "Decoder", 0),
    Figure("denoiser_backwards", "Denoiser backward", 0),
    Figure("encoder_backwards", "Encoder backward", 0),
    Figure("decoder_backwards", "Decoder backward", 0),
    Figure("projections", "Projections", 0),
    Figure("back_projections", "Back projections", 0),
    Figure("peak_memory_mb", "Peak memory MB", 0),
)
"""What a slice takes; the calls do not depend on the machine."""

FIGURES = MAIN + REGIONS + STRUCTURES + ORIGINS + COSTS
COMPARED = tuple(figure for figure in MAIN if figure.best in ("high", "low"))
"""Figures whose differences to a baseline are shown."""
