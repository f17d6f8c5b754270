"""What the training of a conditioned denoiser minimises: a prior that knows the scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import torch

from ctresample.choices import SliceBeam
from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import PriorError, UsageError
from ctresample.learned.conditioning import velocity_around, with_condition
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.trained_scans import TrainedScans
from ctresample.operators import Weighted
from ctresample.pipelines.scan.room import REFINEMENT
from ctresample.pipelines.training.condition_settings import ConditionSettings
from ctresample.pipelines.training.diffusion_objective import DiffusionObjective
from ctresample.pipelines.training.noise_prediction import noised
from ctresample.pipelines.training.objective import Batch, random_numbers
from ctresample.pipelines.training.prior_settings import DiffusionSettings
from ctresample.pipelines.training.scanned import SCANNED_TOGETHER, Scanned, drawn_scan, scan_slices
from ctresample.solvers.itnet import ItNetSettings, agreeing, itnet
from ctresample.units import hu_to_mu, mu_to_hu

VALIDATION_SCANS: dict[str, tuple[int, float, SliceBeam]] = {
    "25_views": (25, 1e5, "parallel"),
    "60_views": (60, 1e5, "parallel"),
    "fan": (25, 1e4, "fan"),
}
"""Views, photons and beam of the scans that validation looks at."""

VALIDATION_SIDE_MM = 380.0
VALIDATION_ROUNDS = 2
SPREAD_EXAMPLES = 64
SPREAD_SCALES = (0.5, 2.0)
"""How strongly the data pull in the rounds that make conditions varies, so that the network is ready for any."""


class ConditionedObjective(DiffusionObjective[LatentPrior]):
    """The error of what the network predicts of noisy latents and of an image that agrees with a scan.

    Args:
        prior: whose ``unet`` is trained; it takes a condition.
        network: the same network, or one around it that trains a part of it.
        slices: to train on.
        validation: of other patients.
        settings: see `DiffusionSettings`; ``settings.condition`` is stated.
    """

    def __init__(
        self,
        prior: LatentPrior,
        network: torch.nn.Module,
        slices: TrainingSlices,
        validation: TrainingSlices,
        settings: DiffusionSettings,
    ) -> None:
        super().__init__(prior, network, slices, validation, settings)
        self._slices, self._c = slices, _stated(settings)
        self._spread = prior.config.condition_spread or 1.0
        fine = validation.whole(prior.config.image_size * REFINEMENT)
        self._scans = {
            name: [
                scan_slices(part, *scan, VALIDATION_SIDE_MM, seed=number)
                for number, part in enumerate(fine.split(SCANNED_TOGETHER))
            ]
            for name, scan in VALIDATION_SCANS.items()
        }
        self._pool_number: int | None = None
        self._examples: tuple[torch.Tensor, torch.Tensor] = (torch.empty(0), torch.empty(0))
        # of the error in HU, which is what counts where the condition alone is shown
        weight = torch.tensor(prior.config.latent_std).square()
        self.register_buffer("_channel_weight", (weight / weight.mean()).view(1, -1, 1, 1), persistent=False)

    _channel_weight: torch.Tensor

    def batches(self, first: int, process: int) -> Iterator[Batch]:
        run, c, n_steps = self.settings.run, self._c, len(self._alpha_bar)
        for number in count(first):
            generator = random_numbers(run.seed, number, process)
            z, conditions = self._pool_of(number // run.accumulation, process)
            chosen = torch.randint(0, len(z), (run.batch_size,), generator=generator)
            z_0, condition = z[chosen].float(), conditions[chosen].float()
            u, kind = torch.rand((2, run.batch_size), generator=generator)
            dropped = kind < c.dropout
            alone = ~dropped & (kind >= 1 - (1 - c.dropout) * c.noiseless_examples)
            steps = torch.where(dropped, self.prior.unet_steps, n_steps)
            t = torch.where(alone, n_steps - 1, (u**self.settings.low_noise_bias * steps).long())
            alpha_bar = torch.where(alone, 0.0, self._alpha_bar[t])
            noise = torch.randn(z_0.shape, generator=generator) * (~alone).view(-1, 1, 1, 1)
            yield {
                "z_0": z_0,
                "noise": noise,
                "t": t,
                "alpha_bar": alpha_bar,
                "mean": condition * (~dropped).view(-1, 1, 1, 1),
                "spread": torch.where(dropped, 1.0, self._spread),
                "alone": alone,
            }

    def forward(self, batch: Batch) -> torch.Tensor:
        z_0, mean, alpha_bar = batch["z_0"], batch["mean"], batch["alpha_bar"].view(-1, 1, 1, 1)
        spread = batch["spread"].view(-1, 1, 1, 1)
        z_t = noised(z_0, batch["noise"], batch["alpha_bar"])
        target = velocity_around(z_t, mean, spread, alpha_bar, z_0)
        predicted = self.network(torch.cat([z_t, mean], 1), batch["t"]).sample.float()
        square = (predicted - target).square()
        # scans of many views are off by little, and count as much as those of few
        size = target.square().mean(dim=(1, 2, 3))
        alone = (self._channel_weight * square).mean(dim=(1, 2, 3)) / (0.1 + size)
        return torch.where(batch["alone"], alone, square.mean(dim=(1, 2, 3))).mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        figures = super().validate()
        found = {}
        for name, scans in self._scans.items():
            rmse = [self._rmse_hu(scan) for scan in scans]
            found[f"rmse_hu_{name}"] = float(torch.cat(rmse).square().mean().sqrt())
        # what the prior does without a condition is watched, but the condition is what this training is for
        loss = sum(torch.tensor(list(found.values())).log().tolist()) / len(found)
        return {"loss": loss, "unconditional_loss": figures.pop("loss"), **figures, **found}

    def _rmse_hu(self, scan: Scanned) -> torch.Tensor:
        """Of each slice after the rounds, ``(B,)``."""
        x = itnet(
            scan.y,
            scan.A,
            self.prior,
            sigma=scan.sigma,
            settings=ItNetSettings(VALIDATION_ROUNDS),
            start=scan.start,
            mu_water_per_mm=scan.mu_water_per_mm,
        )
        error = mu_to_hu(x, scan.mu_water_per_mm) - scan.truth_hu
        return error.square().mean(dim=(1, 2, 3)).sqrt()

    def _pool_of(self, step: int, process: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Clean latents and conditions ``(pool, C, h, w)`` in half precision, made with the network as it stands.

        Validations, and so checkpoints, fall on the first steps of pools: a resumed run makes the same ones.
        """
        number = step // self.settings.pool
        if number != self._pool_number:
            self._pool_number = number
            key = (self.settings.run.seed, process, number)
            self._examples = examples(
                self.prior, self._slices, self._c, self.settings.pool, self.settings.whole_share, key
            )
        return self._examples


@torch.no_grad()
def examples(
    prior: LatentPrior,
    slices: TrainingSlices,
    settings: ConditionSettings,
    n: int,
    whole_share: float,
    key: tuple[int, ...],
) -> tuple[torch.Tensor, torch.Tensor]:
    """``n`` clean latents, and those of images that agree with scans of them, after 0 to some rounds.

    Args:
        prior: as far as it has been trained; without rounds it needs no condition.
        slices: to draw from.
        settings: the scans, and how many rounds at most.
        n: examples wanted.
        whole_share: share of whole slices; the rest are crops.
        key: the same key gives the same examples.
    """
    c, size = settings, prior.config.image_size
    truths, conditions = [], []
    for number in range(-(-n // SCANNED_TOGETHER)):
        scan = drawn_scan(slices, c, size, whole_share, (*key, number))
        generator = random_numbers(*key, number)
        n_rounds = int(torch.randint(0, c.rounds + 1, (), generator=generator))
        low, high = SPREAD_SCALES
        W, y, mu_water = Weighted(scan.A, 1 / scan.sigma), scan.y / scan.sigma, scan.mu_water_per_mm
        x = scan.start
        for done in range(n_rounds + 1):
            scale = low * (high / low) ** float(torch.rand((), generator=generator))
            x = agreeing(x, y, W, ItNetSettings(spread_scale=scale), mu_water)
            condition = prior.encode(mu_to_hu(x, mu_water).to(prior.device))
            if done < n_rounds:
                x = hu_to_mu(prior.decode(prior.estimate(condition)), mu_water).to(scan.y)
        truth = scan.truth_hu.clamp(*prior.config.hu_range).to(prior.device)
        truths.append(prior.encode(truth).half().cpu())
        conditions.append(condition.half().cpu())
    return torch.cat(truths)[:n], torch.cat(conditions)[:n]


def check_pools(settings: DiffusionSettings) -> None:
    """`UsageError` unless pools begin where checkpoints are: what helped to make a pool is in no other checkpoint."""
    if settings.condition and settings.run.validate_every % settings.pool:
        raise UsageError(
            f"training: run.validate_every is {settings.run.validate_every} and pool {settings.pool}; with a "
            "condition, whose pools the network itself helps to make, the first must be a multiple of the second"
        )


def made_conditioned(prior: LatentPrior, slices: TrainingSlices, settings: DiffusionSettings) -> LatentPrior:
    """A prior whose only denoiser takes a condition: the one it has for that, or its own with channels for it.

    Those it at first ignores.
    The spread around the condition is that of first examples without rounds.

    Raises:
        PriorError: the denoiser predicts no velocities.
    """
    if prior.is_conditioned:
        return prior.with_denoisers(prior.conditioned_unet)
    kind = prior.scheduler.config["prediction_type"]
    if kind != "v_prediction":
        raise PriorError(f"prior {prior.config.name} predicts {kind}; a conditioned one must predict v_prediction")
    first = replace(_stated(settings), rounds=0)
    z_0, condition = examples(prior, slices, first, SPREAD_EXAMPLES, settings.whole_share, (settings.run.seed,))
    spread = float((z_0.float() - condition.float()).square().mean().sqrt())
    scans = TrainedScans(first.n_views, first.photons, tuple(dict.fromkeys(first.beams)))
    config = replace(prior.config, condition_spread=spread, condition_scans=scans)
    return prior.with_denoisers(with_condition(prior.unet), config=config)


def _stated(settings: Any) -> ConditionSettings:
    if settings.condition is None:
        raise UsageError("training: condition is not stated; expected the scans to be conditioned on")
    condition: ConditionSettings = settings.condition
    return condition
