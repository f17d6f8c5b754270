"""Batches made ahead of their use by worker processes, in order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
from torch.utils.data import DataLoader, Dataset

from ctresample.errors import CTResampleError


def stream_batches(batch_of: Callable[[int], torch.Tensor], first_step: int, workers: int) -> Iterator[torch.Tensor]:
    """``batch_of(first_step)``, ``batch_of(first_step + 1)`` and so on without end.

    Args:
        batch_of: makes the batch of a step from nothing but its number.
        first_step: number of the first batch.
        workers: processes that make batches ahead, two each; 0 for none.

    Raises:
        CTResampleError: as ``batch_of`` does, wherever it runs.
    """
    loader = DataLoader(
        _Steps(batch_of),
        batch_size=None,
        sampler=itertools.count(first_step),
        num_workers=workers,
        # its own, or starting it would move the random numbers of the training
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, CTResampleError):
            raise batch
        yield batch


class _Steps(Dataset[torch.Tensor | CTResampleError]):
    """The batch of a step, or what went wrong: the loader would wrap an error of a worker in its traceback."""

    def __init__(self, batch_of: Callable[[int], torch.Tensor]) -> None:
        self._batch_of = batch_of

    def __getitem__(self, step: int) -> torch.Tensor | CTResampleError:
        try:
            return self._batch_of(step)
        except CTResampleError as error:
            return error
