"""Encoded training images: encoding once and drawing often is cheaper than encoding at every step."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.learned.diffusion_prior import DiffusionPrior
from ctresample.pipelines.training.coarse_settings import CoarseSettings
from ctresample.pipelines.training.prior_settings import DiffusionSettings

ENCODED_TOGETHER = 16


class LatentPool:
    """Latents of augmented images, as the prior normalises them; a new pool every ``settings.pool`` steps.

    Args:
        prior: whose autoencoder encodes.
        slices: to draw images from.
        settings: size of the pool and share of whole slices.
        keep: what is kept of encoded latents ``(B, C, h, w)``; None: all.
    """

    def __init__(
        self,
        prior: DiffusionPrior,
        slices: TrainingSlices,
        settings: DiffusionSettings | CoarseSettings,
        keep: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self.prior = prior
        self._slices, self._s, self._keep = slices, settings, keep or (lambda latents: latents)
        self._number: int | None = None
        self._latents = torch.empty(0)

    def latents(self, step: int) -> torch.Tensor:
        """The pool of a step, ``(pool, C, h, w)`` in half precision on the CPU; always the same."""
        number = step // self._s.pool
        if number != self._number:
            self._number, self._latents = number, self._encode(number)
        return self._latents

    @torch.no_grad()
    def _encode(self, number: int) -> torch.Tensor:
        s, config = self._s, self.prior.config
        batches = self._slices.batches(
            (s.run.seed, number),
            ENCODED_TOGETHER,
            config.image_size,
            s.whole_share,
            s.four_share if isinstance(s, DiffusionSettings) else 0.0,
            workers=s.run.workers,
        )
        n_batches = -(-s.pool // ENCODED_TOGETHER)
        encoded = [
            self._keep(self.prior.encode(hu.clamp(*config.hu_range).to(self.prior.device))).half().cpu()
            for hu in islice(batches, n_batches)
        ]
        return torch.cat(encoded)[: s.pool]
