"""How much memory a piece of work took at most."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

_STATM = Path("/proc/self/statm")
_EVERY_S = 0.01


class PeakMemory:
    """A block whose highest memory above that at its start is measured.

    On a GPU by CUDA's own counter. Else the resident memory of the process, looked at every 10 ms by a thread, where
    the system tells it (Linux). What was freed before is first given back to the system, where the C library can, for
    it would hide what the block takes.

    Args:
        device: where the work is done.
    """

    megabytes: float = float("nan")
    """In 10^6 bytes, once the block has ended; NaN where it cannot be told."""

    def __init__(self, device: torch.device | str) -> None:
        self._device = torch.device(device)
        self._start = self._peak = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            self._start = torch.cuda.memory_allocated(self._device)
        elif _STATM.exists():
            _give_back()
            self._start = self._peak = _resident_bytes()
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device.type == "cuda":
            self._peak = torch.cuda.max_memory_allocated(self._device)
        elif self._thread:
            self._ended.set()
            self._thread.join()
            self._peak = max(self._peak, _resident_bytes())
        else:
            return
        self.megabytes = (self._peak - self._start) / 1e6

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._peak = max(self._peak, _resident_bytes())


def _give_back() -> None:
    with suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


def _resident_bytes() -> int:
    return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
