"""Work that is tried again with less at a time where memory runs out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from ctresample.errors import CTResampleError, DeviceError

T = TypeVar("T")

_MESSAGES = (
    "defaultcpuallocator",
    "out of memory",  # CUDA, also of pinned host memory
    "cuda_error_out_of_memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cudnn_status_internal_error_host_allocation_failed",
    "cudnn_status_internal_error_device_allocation_failed",
    "cufft_alloc_failed",
    "cusparse_status_alloc_failed",
    "cusparse_status_insufficient_resources",
    "cusolver_status_alloc_failed",
    "enough memory on the gpu",  # what AstraProjector says of an output that ASTRA did not fill
)
"""Parts, in lower case, of what libraries say that have no exception of their own for it."""


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
        except (MemoryError, RuntimeError, DeviceError) as error:
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
    """Whether it is Python's, NumPy's, torch's or the way of a library below to say so: see `_MESSAGES`."""
    said = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(part in said for part in _MESSAGES)
