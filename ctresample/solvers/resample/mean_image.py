"""The mean of images that come one after the other."""

from __future__ import annotations

import torch


class MeanImage:
    """Adds up images, so that a volume's memory does not grow with how many there are."""

    def __init__(self) -> None:
        self._sum: torch.Tensor | None = None
        self._n = 0

    def add(self, image: torch.Tensor) -> None:
        """One more, of the same shape as the others."""
        self._sum = image if self._sum is None else self._sum + image
        self._n += 1

    @property
    def value(self) -> torch.Tensor | None:
        """The mean of those that came so far; None of none."""
        return None if self._sum is None else self._sum / self._n
