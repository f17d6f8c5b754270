"""Does a prior repeat its training slices? Its samples beside slices it never saw, and beside copies."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.pipelines.model_card.nearest import Nearest, centre_parts, nearest_slices

MOST_HELD_OUT = 32
"""Held-out slices looked at, evenly spread over all: each takes about two seconds to search for."""

COPIES = 20
MOST_OF_COPIES = 0.9
_WHOLE_SHARE = 0.65


@dataclass(frozen=True)
class Memorisation:
    """Distances to the nearest training slice; see `nearest.Nearest`.

    Attributes:
        samples: of each sample.
        held_out: of slices of other patients, whole and the middle of each at the scanner's pixel size: what images
            that were surely not copied come to.
        copies: of training slices themselves, mirrored, turned, scaled, shifted and cropped as in training: what a
            copy comes to.
    """

    samples: tuple[Nearest, ...]
    held_out: tuple[float, ...]
    copies: tuple[float, ...]

    @property
    def nearer_than_held_out(self) -> tuple[int, ...]:
        """Samples that are nearer to a training slice than every held-out slice is."""
        return tuple(k for k, sample in enumerate(self.samples) if sample.distance < min(self.held_out))

    @property
    def copy_distance(self) -> float:
        """What nine of ten copies do not exceed; a search among so many slices misses a copy now and then."""
        return sorted(self.copies)[math.ceil(MOST_OF_COPIES * len(self.copies)) - 1]

    @property
    def near_copies(self) -> tuple[int, ...]:
        """Samples that are as near to a training slice as copies of training slices are."""
        return tuple(k for k, sample in enumerate(self.samples) if sample.distance <= self.copy_distance)

    @property
    def held_out_like_copies(self) -> int:
        """Held-out slices that are so near too: the false alarms to expect."""
        return sum(distance <= self.copy_distance for distance in self.held_out)


def measure_memorisation(
    samples: torch.Tensor,
    slices: TrainingSlices,
    held_out: TrainingSlices,
    seed: int,
    on_progress: Callable[[float], None] | None = None,
) -> Memorisation:
    """The nearest training slice of every sample, with the two yardsticks.

    Args:
        samples: ``(n, 1, size, size)`` in HU.
        slices: all that the prior was trained on.
        held_out: of other patients.
        seed: of the copies.
        on_progress: told the fraction done, from 0 to 1.
    """
    size = samples.shape[-1]
    chosen = torch.linspace(0, len(held_out.hu) - 1, min(MOST_HELD_OUT, len(held_out.hu))).round().long().tolist()
    hu = np.stack([held_out.hu[k] for k in chosen])
    some = TrainingSlices(hu, held_out.patients[chosen], held_out.patient_hashes, held_out.digest)
    unseen = torch.cat([some.whole(size), centre_parts(some, size)])
    copied = slices.batch((seed,), COPIES, size, _WHOLE_SHARE)
    found = nearest_slices(torch.cat([samples, unseen, copied]), slices, on_progress)
    first, last = len(samples), len(samples) + len(unseen)
    return Memorisation(
        samples=tuple(found[:first]),
        held_out=tuple(nearest.distance for nearest in found[first:last]),
        copies=tuple(nearest.distance for nearest in found[last:]),
    )
