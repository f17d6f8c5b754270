"""The random numbers of slices, which do not depend on what they are reconstructed with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def slice_generators(seed: int, numbers: Sequence[int], *, coupled: bool) -> list[torch.Generator]:
    """A generator for each slice of these numbers, which draws from ``(seed, number)``; of coupled ones all alike."""
    return [torch.Generator().manual_seed(_seed_of(seed, 0 if coupled else number)) for number in numbers]


def _seed_of(seed: int, slice_index: int) -> int:
    """One number for a slice's generator, well mixed so that neighbouring seeds and slices share nothing."""
    return int(np.random.SeedSequence([seed, slice_index]).generate_state(1, np.uint64)[0] >> 1)
