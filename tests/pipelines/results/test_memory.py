"""Which errors mean that memory ran out."""

from __future__ import annotations

import pytest
import torch

from ctresample.errors import DeviceError
from ctresample.pipelines.results.memory import OutOfMemoryError, ran_out_of_memory, with_smaller_batches

RAN_OUT = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUSPARSE_STATUS_INSUFFICIENT_RESOURCES when calling `cusparseSpMM(...)`"),
    DeviceError("ASTRA failed on cuda:0 without a word; is there enough memory on the GPU?"),
]


@pytest.mark.parametrize("error", RAN_OUT, ids=lambda error: f"{type(error).__name__} {error}"[:60])
def test_what_libraries_say_of_it(error):
    assert ran_out_of_memory(error)


def test_the_batch_is_halved():
    tried = []

    def work(n: int) -> str:
        tried.append(n)
        if n > 2:
            raise RAN_OUT[1]
        return "done"

    assert with_smaller_batches(work, 8) == ("done", 2)
    assert tried == [8, 4, 2]
    with pytest.raises(OutOfMemoryError, match="even with one slice at a time"):
        with_smaller_batches(lambda n: work(n + 2), 4)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"),
        DeviceError("device cuda was asked for, but torch sees no CUDA device; use cpu"),
    ],
    ids=str,
)
def test_other_failures_are_not_taken_for_it(error):
    assert not ran_out_of_memory(error)
