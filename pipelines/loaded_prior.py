"""A prior with the name and the hash by which results refer to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ctresample.prior import LatentPrior, find_prior, weights_sha256


@dataclass(frozen=True)
class LoadedPrior:
    """A prior ready to use.

    Attributes:
        model: the networks, on their device.
        name: as its config calls it.
        sha256: one hash over all its weights.
    """

    model: LatentPrior
    name: str
    sha256: str

    @classmethod
    def load(cls, name_or_folder: str | Path, device: torch.device | str = "cpu") -> LoadedPrior:
        """Load a bundled prior by name, or one from a folder; `PriorError` if there is none."""
        folder = find_prior(name_or_folder)
        model = LatentPrior.from_pretrained(folder, device)
        return cls(model, model.config.name, weights_sha256(folder))
