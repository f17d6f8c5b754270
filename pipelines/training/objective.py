"""What a training run minimises: the one thing that the loop asks to be told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Batch = dict[str, Any]


class Objective(torch.nn.Module):
    """A network with its loss, data, validation and pictures.

    Its ``forward`` takes a batch and returns the loss; it must depend on the weights and the batch alone, and draw
    nothing from torch's own random numbers, so that a resumed run repeats what an uninterrupted one does.

    Args:
        network: trained are those of its parameters that require a gradient.
        opponent: trained in turn with the network, as in adversarial training; its ``forward`` takes a batch and
            returns its own loss.
    """

    def __init__(self, network: torch.nn.Module, opponent: torch.nn.Module | None = None) -> None:
        super().__init__()
        self.network = network
        # kept from torch: an opponent's weights are not the network's
        object.__setattr__(self, "opponent", opponent)

    opponent: torch.nn.Module | None

    def batches(self, first: int, process: int) -> Iterator[Batch]:
        """Batches without end, from number ``first`` on, for one of several processes; always the same ones."""
        raise NotImplementedError

    def validate(self) -> dict[str, float]:
        """Figures of the network as it stands; the lowest ``loss`` is the best network."""
        raise NotImplementedError

    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        """Grey images ``(rows, columns)`` that show the network as it stands, by name."""
        return {}


def random_numbers(*key: int) -> torch.Generator:
    """A generator whose numbers depend on all of ``key``, and on nothing else."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
