"""One progress bar over several steps of unequal length."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Told the fraction done, from 0 to 1, and what is being done."""


class Work:
    """Counts what is done of a whole, in any unit that is roughly proportional to time.

    Args:
        total: of the whole.
        progress: told whenever something changes.
    """

    def __init__(self, total: float, progress: Progress | None) -> None:
        self._total, self._progress, self._done, self._step, self._size = total, progress, 0.0, "", 0.0

    def start(self, step: str, size: float) -> None:
        """Begin a step of this size; the one before it is done."""
        self._done += self._size
        self._step, self._size = step, size
        self.share(0.0)

    def share(self, fraction: float) -> None:
        """The present step is done by this fraction."""
        if self._progress:
            self._progress((self._done + fraction * self._size) / self._total, self._step)
