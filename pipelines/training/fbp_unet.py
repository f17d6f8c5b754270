"""Train a U-Net on FBP images of simulated scans (Jin et al., IEEE TIP 2017)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.learned.image_unet import HU_UNIT, ImageUNet, ImageUNetConfig
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.training.fbp_unet_settings import FBPUNetSettings
from ctresample.pipelines.training.objective import Batch, Objective, random_numbers
from ctresample.pipelines.training.pictures import reconstructions
from ctresample.pipelines.training.progress import OnStep
from ctresample.pipelines.training.result import save_whole
from ctresample.pipelines.training.run import identity, train
from ctresample.pipelines.training.scanned_pairs import drawn_pairs, held_out_pairs
from ctresample.solvers.fbp_unet import arc_rad

VALIDATION_BATCH = 8
RESULT = "fbp-unet"


def train_fbp_unet(
    slices: TrainingSlices,
    validation: TrainingSlices,
    folder: StrPath,
    settings: FBPUNetSettings,
    *,
    on_step: OnStep | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> ImageUNet:
    """A network trained on scans of ``slices``, the best on ``validation``; also saved to ``folder/fbp-unet``.

    Args:
        slices: to train on.
        validation: of other patients.
        folder: checkpoint, curves, pictures and the finished network; a killed run goes on from its checkpoint.
        settings: see `FBPUNetSettings`.
        on_step: told step, loss and, when there are some, validation figures.
        on_progress: told the fraction of the scans made before the first step.
    """
    folder = as_path(folder, "folder")
    objective = FBPUNetObjective(slices, validation, settings, on_progress)
    network = objective.unet
    if train(objective, folder, settings.run, identity(settings, slices.digest), on_step=on_step):
        made_from = {"data_digest": slices.digest, "patients": len(slices.patient_hashes)}
        network.config = replace(network.config, provenance=settings.provenance | made_from)
        save_whole(folder / RESULT, network.save_pretrained)
    return network


class FBPUNetObjective(Objective):
    """The mean square error of the network's images.

    Args:
        slices: to train on.
        validation: of other patients.
        settings: see `FBPUNetSettings`.
        on_progress: told the fraction of the scans made.
    """

    def __init__(
        self,
        slices: TrainingSlices,
        validation: TrainingSlices,
        settings: FBPUNetSettings,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        self._s = s = settings
        pairs, held_out = drawn_pairs(slices, s, on_progress), held_out_pairs(validation, s)
        config = ImageUNetConfig(
            name=s.name,
            n_views=s.n_views,
            arc_rad=arc_rad(pairs.geometry),
            beam=s.beam,
            image_size=s.image_size,
            photons=s.photons,
            window=s.window,
            channels=s.channels,
        )
        with torch.random.fork_rng():
            torch.manual_seed(s.run.seed)
            self_network = ImageUNet(config)
        super().__init__(self_network)
        self.unet, self._pairs, self._held_out = self_network, pairs, held_out

    def batches(self, first: int, process: int) -> Iterator[Batch]:
        run = self._s.run
        for number in count(first):
            generator = random_numbers(run.seed, number, process)
            chosen = torch.randint(0, len(self._pairs.fbp_hu), (run.batch_size,), generator=generator)
            axes = [axis for axis in mirrors(self._s) if bool(torch.rand((), generator=generator) < 0.5)]
            yield {
                name: pool[chosen].float().flip(axes)
                for name, pool in (("fbp_hu", self._pairs.fbp_hu), ("truth_hu", self._pairs.truth_hu))
            }

    def forward(self, batch: Batch) -> torch.Tensor:
        return ((self.network(batch["fbp_hu"]).float() - batch["truth_hu"]) / HU_UNIT).square().mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        before, after = (
            float(torch.cat(errors).mean().sqrt())
            for errors in zip(
                *((_squares(seen - truth), _squares(made - truth)) for seen, made, truth in self._validated()),
                strict=True,
            )
        )
        return {"loss": after / HU_UNIT, "rmse_hu": after, "fbp_rmse_hu": before}

    @torch.no_grad()
    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        _, made, truth = next(iter(self._validated()))
        return {"reconstructions": reconstructions(truth[:4, 0].cpu().numpy(), made[:4, 0].cpu().numpy())}

    def _validated(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """FBP images, what the network makes of them, and the truth."""
        device = next(self.network.parameters()).device
        batches = (pool.split(VALIDATION_BATCH) for pool in (self._held_out.fbp_hu, self._held_out.truth_hu))
        for seen, truth in zip(*batches, strict=True):
            seen, truth = seen.float().to(device), truth.float().to(device)
            yield seen, self.network(seen), truth


def mirrors(settings: FBPUNetSettings) -> tuple[int, ...]:
    """Axes along which a mirrored FBP image is that of the mirrored object: where the mirrored views are the same.

    An odd number of views around a full circle has none opposite to the first.
    """
    return (-2, -1) if settings.beam == "parallel" or settings.n_views % 2 == 0 else (-1,)


def _squares(error: torch.Tensor) -> torch.Tensor:
    """Mean square of each image, ``(B,)``."""
    return error.square().flatten(1).mean(1)
