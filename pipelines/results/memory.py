"""Work that is tried again with less at a time where memory runs out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from ctresample.errors import CTResampleError

T = TypeVar("T")


class OutOfMemoryError(CTResampleError, MemoryError):
    """Even one slice at a time was too much."""


def with_smaller_batches(work: Callable[[int], T], batch_size: int) -> tuple[T, int]:
    """The result of ``work(batch_size)``, and the size for which memory was enough: halved until it is.

    Raises:
        OutOfMemoryError: it was not enough for one slice.
    """
    while True:
        try:
            return work(batch_size), batch_size
        except (MemoryError, RuntimeError) as error:
            if not ran_out_of_memory(error):
                raise
        # outside the handler, where the error no longer holds on to the arrays
        if batch_size == 1:
            raise OutOfMemoryError("memory ran out even with one slice at a time; choose a machine with more")
        batch_size //= 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether it is NumPy's, Python's, CUDA's or the way of torch's allocator to say so."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
