"""What the autoencoder of a prior does to slices: encode, decode, compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.model_card.checkerboard import Checkerboard, checkerboard, error_spectrum
from ctresample.pipelines.model_card.tissues import RegionError, error_sums, region_errors
from ctresample.pipelines.sampling import latent_shape

_BATCH_PIXELS = 4 * 256**2  # in one go: attention over large images takes much memory


@dataclass(frozen=True)
class AutoencoderErrors:
    """Figures of one set of slices at one size.

    Attributes:
        data: name of the set.
        size: rows and columns.
        n_slices: number of slices.
        n_patients: number of patients.
        regions: error in each of `tissues.REGIONS`.
        checkerboard: the pattern of the patches in the error.
    """

    data: str
    size: int
    n_slices: int
    n_patients: int
    regions: tuple[RegionError, ...]
    checkerboard: Checkerboard


def measure_autoencoder(prior: LatentPrior, slices: TrainingSlices, data: str, size: int) -> AutoencoderErrors:
    """Errors of every slice, whole, on ``size`` x ``size`` pixels; 512 is the slices' own matrix.

    Raises:
        PriorError: the networks do not take that size.
    """
    prior.check_shape((size, size))
    sums, spectra, n = [], [], 0
    for truth in whole_batches(slices, size, max(1, _BATCH_PIXELS // size**2)):
        image = round_trip(prior, truth)
        sums.append(error_sums(truth, image))
        spectra.append(error_spectrum(image - truth) * len(truth))
        n += len(truth)
    return AutoencoderErrors(
        data=data,
        size=size,
        n_slices=n,
        n_patients=len(slices.patient_hashes),
        regions=region_errors(np.concatenate(sums), slices.patients),
        checkerboard=checkerboard(np.sum(spectra, axis=0) / n, latent_pixel(prior, size)),
    )


@torch.no_grad()
def round_trip(prior: LatentPrior, hu: torch.Tensor) -> torch.Tensor:
    """Encoded and decoded images ``(B, 1, H, W)`` in HU; as in training, they are clipped to the prior's range first.

    On the CPU, as is what is given.
    """
    return prior.decode(prior.encode(hu.to(prior.device).clamp(*prior.config.hu_range))).cpu()


def latent_pixel(prior: LatentPrior, size: int) -> int:
    """Pixels of the image along one pixel of the latents."""
    return size // latent_shape(prior, size)[1]


def whole_batches(slices: TrainingSlices, size: int, n: int) -> Iterator[torch.Tensor]:
    """All slices in order on ``size`` x ``size`` pixels, ``(n, 1, size, size)`` in HU at a time."""
    for first in range(0, len(slices.hu), n):
        yield slices.whole(size, range(first, min(first + n, len(slices.hu))))
