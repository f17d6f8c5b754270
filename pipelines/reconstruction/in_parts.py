"""A learned model that takes the slices of a volume a few at a time, so that memory does not grow with the volume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ctresample.learned import LearnedModel


class InParts:
    """A prior whose networks see at most so many slices at once; all else is the prior's.

    Args:
        prior: of latents or of pixels.
        size: slices at once.
    """

    def __init__(self, prior: LearnedModel, size: int) -> None:
        self._prior, self._size = prior, size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._prior, name)

    def encode(self, hu: torch.Tensor) -> torch.Tensor:
        """Latents of images."""
        return self._each(self._prior.encode, hu)  # type: ignore[attr-defined]

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Images of latents."""
        return self._each(self._prior.decode, z)  # type: ignore[attr-defined]

    def estimate(self, condition: torch.Tensor) -> torch.Tensor:
        """Clean latents expected from the condition alone."""
        return self._each(self._prior.estimate, condition)  # type: ignore[attr-defined]

    def predict(
        self, z_t: torch.Tensor, t: int, condition: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Clean latents and the noise."""
        predict = self._prior.predict  # type: ignore[attr-defined]
        noisy = z_t.split(self._size)
        shown = [None] * len(noisy) if condition is None else condition.split(self._size)
        parts = [predict(z, t) if seen is None else predict(z, t, seen) for z, seen in zip(noisy, shown, strict=True)]
        clean, noise = zip(*parts, strict=True)
        return torch.cat(clean), torch.cat(noise)

    def _each(self, work: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor) -> torch.Tensor:
        return torch.cat([work(part) for part in batch.split(self._size)])
