"""How many threads of the CPU a verb computes with: by ``--threads N``, at any place."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ctresample.errors import UsageError

THREADS = "--threads"


def without_threads(words: Sequence[str]) -> tuple[list[str], int | None]:
    """The words of a command line without the option, and its number; None where it is not there.

    Raises:
        UsageError: no whole number of 1 or more follows.
    """
    rest, found, waiting = list[str](), None, False
    for word in words:
        name, equals, value = word.partition("=")
        if waiting:
            found, waiting = word, False
        elif name == THREADS and equals:
            found = value
        elif word == THREADS:
            waiting = True
        else:
            rest.append(word)
    if waiting or (found is not None and not (found.isdecimal() and int(found) > 0)):
        raise UsageError(f"{THREADS} is {'not given' if waiting else repr(found)}; expected a whole number, such as 2")
    return rest, None if found is None else int(found)


def compute_with(threads: int) -> None:
    """Let torch, here and in the processes that this one starts, compute with so many threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # which torch reads as it is loaded
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)
