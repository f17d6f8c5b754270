"""What the training of a denoiser of neighbours minimises."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import count

import torch

from ctresample.errors import UsageError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.neighbour_denoiser import seen
from ctresample.pipelines.training.neighbour_settings import NeighbourSettings
from ctresample.pipelines.training.noise_prediction import noised
from ctresample.pipelines.training.objective import Batch, Objective, random_numbers
from ctresample.pipelines.training.scanned_volumes import ScannedVolume

LEAST_STEP = 3
VALIDATION_STEPS = 5, 15, 50
"""Where ReSample's `fast` spends its steps."""

VALIDATION_SLICES = 10
LONGEST = 40
"""Slices of one volume in a pool."""

ENCODED_TOGETHER = 8


class NeighbourObjective(Objective):
    """The error of estimates that neighbours correct, over that of the prior's own.

    Args:
        prior: whose denoiser of neighbours is trained.
        volumes: to train on.
        validation: of other patients.
        settings: see `NeighbourSettings`.
    """

    def __init__(
        self,
        prior: LatentPrior,
        volumes: Sequence[ScannedVolume],
        validation: Sequence[ScannedVolume],
        settings: NeighbourSettings,
    ) -> None:
        if prior.neighbours is None:
            raise ValueError("the prior has no denoiser of neighbours to train")
        super().__init__(prior.neighbours.unet)
        self.prior, self._s = prior, settings
        self._volumes, self._validation = volumes, validation
        self._pool_number: int | None = None
        self._pool: list[tuple[torch.Tensor, torch.Tensor]] = []
        rows = prior.config.image_size // prior.config.patch_size
        if not 0 < settings.crop <= rows or settings.crop % (prior.size_multiple // prior.config.patch_size):
            raise UsageError(
                f"training: crop is {settings.crop}; expected at most {rows} latents, in a multiple of "
                f"{prior.size_multiple // prior.config.patch_size}"
            )

    def batches(self, first: int, process: int) -> Iterator[Batch]:
        run = self._s.run
        for number in count(first):
            generator = random_numbers(run.seed, number, process)
            pool = self._latents(number // run.accumulation // self._s.pool)
            rows = [self._row(pool, generator) for _ in range(run.batch_size)]
            truth, start = (torch.stack(tensors) for tensors in zip(*rows, strict=True))
            low, high = math.log(LEAST_STEP), math.log(self._s.n_steps)
            t = torch.empty(run.batch_size).uniform_(low, high, generator=generator).exp().long()
            noise = torch.randn(start.shape, generator=generator)
            yield {"truth": truth, "start": start, "noise": noise, "t": t}

    def _row(
        self, pool: Sequence[tuple[torch.Tensor, torch.Tensor]], generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Slices in a row, and the same with a part of a scan's error, ``(slices, C, crop, crop)``."""

        def drawn(below: int) -> int:
            return int(torch.randint(below, (), generator=generator))

        n, crop = self._s.slices, self._s.crop
        weights = torch.tensor([len(truth) for truth, _ in pool]).sqrt()
        truth, tv = pool[int(torch.multinomial(weights, 1, generator=generator))]
        first, top, left = drawn(len(truth) - n + 1), *(drawn(side - crop + 1) for side in truth.shape[-2:])
        here = (slice(first, first + n), slice(None), slice(top, top + crop), slice(left, left + crop))
        share, scanned = torch.rand(2, generator=generator).tolist()
        truth, tv = truth[here].float(), tv[here].float()
        return truth, truth + (share if scanned < self._s.scanned_share else 0.0) * (tv - truth)

    def _latents(self, number: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The pool of this number: of every volume some slices in one pose, and with the error of one of its scans."""
        if number != self._pool_number:
            self._pool_number = number
            self._pool = [self._posed(volume, (number, k)) for k, volume in enumerate(self._volumes)]
        return self._pool

    def _posed(self, volume: ScannedVolume, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        generator = random_numbers(self._s.run.seed, *key)
        n, pose = len(volume.truth_hu), int(torch.randint(16, (), generator=generator))
        first = int(torch.randint(max(1, n - LONGEST + 1), (), generator=generator))
        images = volume.tv_hu or (volume.truth_hu,)
        chosen = images[int(torch.randint(len(images), (), generator=generator))]

        def posed(hu: torch.Tensor) -> torch.Tensor:
            hu = hu[first : first + LONGEST]
            hu = hu.flip(0) if pose & 8 else hu
            hu = hu.transpose(-1, -2) if pose & 4 else hu
            return self._encoded(torch.rot90(hu, pose & 3, (-2, -1))).half().cpu()

        return posed(volume.truth_hu), posed(chosen)

    @torch.no_grad()
    def _encoded(self, hu: torch.Tensor) -> torch.Tensor:
        prior = self.prior
        hu = hu.float().clamp(*prior.config.hu_range)
        return torch.cat([prior.encode(some.to(prior.device)) for some in hu.split(ENCODED_TOGETHER)])

    def forward(self, batch: Batch) -> torch.Tensor:
        truth, t = batch["truth"], batch["t"]
        alpha_bar = self.prior.alpha_bar.float().to(t.device)[t]
        n = truth.shape[1]
        slices = (batch["start"].flatten(0, 1), batch["noise"].flatten(0, 1), alpha_bar.repeat_interleave(n))
        z_t = noised(*slices).view_as(truth)
        with torch.no_grad():
            z_0 = torch.stack([self.prior.predict(z, int(step))[0] for z, step in zip(z_t, t, strict=True)])
        noise = (1 - alpha_bar).sqrt().view(-1, 1, 1, 1, 1)
        target = (truth - z_0) / noise
        shown = seen(z_t.flatten(0, 1), z_0.flatten(0, 1), len(truth))
        correction = self.network(shown, t.repeat_interleave(n)).sample.float().view_as(target)
        own = target.square().mean((1, 2, 3, 4))
        # the error of a scan dwarfs the noise of the cleanest steps, so that each row counts by its own
        return ((correction - target).square().mean((1, 2, 3, 4)) / own.clamp_min(1e-3)).mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Errors in HU before and after, by noise alone and with half the error of a scan; the loss is their ratio."""
        figures: dict[str, float] = {}
        ratios = []
        generator, device = random_numbers(1), self.prior.device
        for share in (0.0, 0.5) if self._validation[0].tv_hu else (0.0,):
            before, after = 0.0, 0.0
            for volume in self._validation:
                hu = volume.truth_hu[:VALIDATION_SLICES].float().clamp(*self.prior.config.hu_range).to(device)
                truth = self._encoded(hu)
                start = truth
                if share:
                    start = truth + share * (self._encoded(volume.tv_hu[0][:VALIDATION_SLICES]) - truth)
                for t in (t for t in VALIDATION_STEPS if t < self._s.n_steps):
                    noise = torch.randn(truth.shape, generator=generator).to(device)
                    z_t = noised(start, noise, self.prior.alpha_bar[t].float().to(device).expand(len(truth)))
                    z_0, _ = self.prior.predict(z_t, t)
                    better = self.prior.among_neighbours(z_t, z_0, t)
                    own, corrected = (float((self.prior.decode(z) - hu).square().mean()) for z in (z_0, better))
                    before, after = before + own, after + corrected
                    ratios.append(corrected / own)
            name = "scan" if share else "noise"
            n = len(self._validation) * len(VALIDATION_STEPS)
            figures |= {f"hu_{name}_alone": (before / n) ** 0.5, f"hu_{name}": (after / n) ** 0.5}
        return {"loss": sum(ratios) / len(ratios), **figures}
