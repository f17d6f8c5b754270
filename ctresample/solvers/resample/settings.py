"""The settings of ReSample, as fractions of the noise schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ctresample.errors import UsageError


@dataclass(frozen=True)
class ReSampleSettings:
    """Every choice of the algorithm (Song et al., ICLR 2024, Algorithm 1).

    Levels are fractions of the schedule: 1 is pure noise, 0 the clean image.

    Attributes:
        n_steps: DDIM steps over the whole schedule; fewer are taken from a lower ``start_level``.
        start_level: level the sampling starts from.
        warm_start: what is encoded and noised to ``start_level``: a TV image, or nothing (pure noise).
        pixel_level: below this level hard consistency is imposed in pixel space ...
        latent_level: ... and below this one in latent space. 0 keeps it in pixel space to the end.
        skip: hard consistency every so many steps.
        inner_steps: DDIM steps taken ahead of a hard step for a cleaner estimate, then undone by resampling.
        optimiser: "cg" solves the proximal problem with the noise and the prior's own error as weights;
            "adamw" is the published gradient descent, stopped at the noise level.
        cg_iterations: of one proximal step.
        newton_iterations: of one proximal step, where the measurement model is nonlinear.
        spread_scale: how far the image may move in a proximal step, in units of the prior's error at that noise level.
            Above 1 the data are trusted more: in mid-run an estimate is further from the truth than a denoised truth.
        pixel_lr: AdamW step in pixel space, in units of half the prior's HU range.
        pixel_iterations: AdamW steps in pixel space at most.
        latent_lr: AdamW step in latent space.
        latent_iterations: AdamW steps in latent space at most.
        variance_scale: gamma of the resampling variance. When large, resampling draws afresh around the consistent
            estimate and keeps nothing of the unconditional path: the paper's stochastic encoding.
        final: how the output is made consistent: "pixel" by a proximal step with total variation on the decoded
            image, "latent" as published, by a last descent in latent space, decoded.
        final_spread_hu: how far that proximal step expects the decoded image to be from the truth.
        final_iterations: iterations of that proximal step at most.
    """

    n_steps: int
    start_level: float = 1.0
    warm_start: Literal["tv"] | None = None
    pixel_level: float = 2 / 3
    latent_level: float = 1 / 3
    skip: int = 10
    inner_steps: int = 5
    optimiser: Literal["cg", "adamw"] = "adamw"
    cg_iterations: int = 30
    newton_iterations: int = 2
    spread_scale: float = 1.0
    pixel_lr: float = 1e-2
    pixel_iterations: int = 2000
    latent_lr: float = 5e-3
    latent_iterations: int = 500
    variance_scale: float = 40.0
    final: Literal["pixel", "latent"] = "latent"
    final_spread_hu: float = 140.0
    final_iterations: int = 400

    def __post_init__(self) -> None:
        if self.n_steps < 1 or self.skip < 1 or self.inner_steps < 0:
            raise UsageError("resample settings: n_steps and skip must be 1 or more, inner_steps 0 or more")
        if not 0 <= self.latent_level <= self.pixel_level <= 1 or not 0 < self.start_level <= 1:
            raise UsageError(
                "resample settings: expected 0 <= latent_level <= pixel_level <= 1 and 0 < start_level <= 1"
            )
        if self.newton_iterations < 1:
            raise UsageError("resample settings: newton_iterations must be 1 or more")
        if not self.spread_scale > 0 or self.variance_scale < 0:
            raise UsageError("resample settings: spread_scale must be above 0 and variance_scale 0 or more")
        if not self.final_spread_hu > 0 or self.final_iterations < 1:
            raise UsageError("resample settings: final_spread_hu must be above 0 and final_iterations 1 or more")
        if self.start_level == 1 and self.warm_start:
            raise UsageError("resample settings: a warm start needs a start_level below 1, where it is not all noise")
