"""Whether a reconstruction is like those that its prior was calibrated on: the out-of-distribution score of a slice.

A few figures of a slice tell how the prior takes it: what its autoencoder loses of it, how large and how heavy-tailed
its latents are, what its denoiser loses at little and at much noise, and how much of the body is dense. Their distance
from those of the calibration slices, in standard deviations along every direction (Mahalanobis), is the score: a
plastic disc, a head or metal lies far from chests and abdomens. It is two-sided, for what is simpler than any anatomy
is as strange. The figures were chosen on validation slices, which stay below the limit, a disc, a head and metal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.learned.latent_prior import LatentPrior
from ctresample.metrics.regions import BODY_HU
from ctresample.pipelines.calibration.conformal import rank_bound
from ctresample.pipelines.calibration.tissues import EDGES_HU

FIGURES = (
    "autoencoder error",
    "latent energy",
    "latent kurtosis",
    "largest latent",
    "dense share of the body",
    "denoiser loss at little noise",
    "denoiser loss at much noise",
)
"""Of a slice, all logarithms; the error in HU, the others without unit."""

LEVELS = (0.01, 0.3)
"""Fractions of the noise schedule at which the denoiser is asked."""

DENSE_HU, LEAST_SHARE = EDGES_HU[-1], 0.01
"""Above it is bone, contrast agent and metal; of their share a hundredth more or less is no matter."""

FALSE_ALARMS = 0.05
"""Share of ordinary slices that the limit lets be called unlike, as the conformal bound has it."""

_SHRINKAGE = 0.1
"""Of the covariance towards its diagonal: few patients do not tell every correlation."""


@dataclass(frozen=True)
class Typical:
    """Where the figures of calibration slices lie.

    Attributes:
        mean: of `FIGURES`.
        covariance: of them.
        limit: the score above which a slice is unlike any.
    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    limit: float

    def scores(self, figures: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of slices, from their figures ``[slice, figure]``."""
        away = figures - np.asarray(self.mean)
        return np.sqrt(np.einsum("si,ij,sj->s", away, np.linalg.inv(np.asarray(self.covariance)), away))

    @classmethod
    def of(cls, figures: NDArray[np.float64], patients: Sequence[int]) -> Typical:
        """Of calibration slices.

        Args:
            figures: ``[slice, figure]``.
            patients: a number a slice, the same for slices of one patient; of three patients or more, and 19 slices.
        """
        numbers = np.asarray(patients)
        left_out = [_around(figures[numbers != one]).scores(figures[numbers == one]) for one in set(patients)]
        found = _around(figures)
        limit = rank_bound(np.concatenate(left_out).tolist(), 1 - FALSE_ALARMS)
        return cls(found.mean, found.covariance, limit)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Typical:
        """From its record; ValueError, TypeError or KeyError for anything else."""
        mean = tuple(map(float, raw["mean"]))
        covariance = tuple(tuple(map(float, row)) for row in raw["covariance"])
        found = cls(mean, covariance, float(raw["limit"]))
        matrix = np.asarray(covariance, np.float64)
        if matrix.shape != (len(FIGURES),) * 2 or len(mean) != len(FIGURES) or not found.limit > 0:
            raise ValueError(
                f"typical has a mean of {len(mean)} figures; expected {len(FIGURES)}, and their covariance"
            )
        if not np.isfinite([*mean, found.limit]).all():
            raise ValueError("typical has a number that is not finite")
        if not (np.isfinite(matrix).all() and np.linalg.eigvalsh(matrix).min() > 0):
            raise ValueError("typical has a covariance that is none")
        return found


def _around(figures: NDArray[np.float64]) -> Typical:
    covariance = np.cov(figures.T)
    covariance = (1 - _SHRINKAGE) * covariance + np.diag(_SHRINKAGE * np.diag(covariance) + 1e-6)
    return Typical(tuple(figures.mean(0).tolist()), tuple(map(tuple, covariance.tolist())), 0.0)


@torch.no_grad()
def figures_of(image_hu: NDArray[np.float32], prior: LatentPrior, *, batch_size: int = 8) -> NDArray[np.float64]:
    """`FIGURES` of slices ``[slice, y, x]`` in HU, as ``[slice, figure]``: two passes of each of the prior's networks.

    The noise is always the same, so that equal slices have equal figures.
    """
    low, high = prior.config.hu_range
    rows = []
    for batch in torch.from_numpy(image_hu)[:, None].split(batch_size):
        hu = batch.to(prior.device)
        z = prior.encode(hu.clamp(low, high))  # what is brighter than the prior can say is an error of its image
        energy = _mean_square(z)
        dense, body = ((hu > edge).flatten(1).double().mean(1) for edge in (DENSE_HU, BODY_HU))
        figures = [
            _mean_square(prior.decode(z) - hu).sqrt(),
            energy,
            _mean_square(z.square()) / energy.square(),
            z.abs().flatten(1).amax(1),
            LEAST_SHARE + dense / body.clamp_min(LEAST_SHARE),
        ]
        noise = torch.randn(z.shape[1:], generator=torch.Generator().manual_seed(0)).to(z)
        for level in LEVELS:
            t = int(level * len(prior.alpha_bar))
            a = float(prior.alpha_bar[t])
            estimate, _ = prior.predict(a**0.5 * z + (1 - a) ** 0.5 * noise, t)
            figures.append(_mean_square(estimate - z) / (1 - a))
        rows.append(torch.stack([one.double() for one in figures], 1).clamp_min(1e-12).log().cpu())
    return torch.cat(rows).numpy()


def _mean_square(x: torch.Tensor) -> torch.Tensor:
    return x.square().flatten(1).mean(1)
