"""The settings of ReSample: every choice of the algorithm by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ctresample.choices import WarmStart
from ctresample.errors import UsageError
from ctresample.solvers.resample.defects import Defect

Spread = Literal["level", "misfit"]
PixelOptimiser = Literal["dual", "cg", "adamw"]
LatentOptimiser = Literal["gauss-newton", "adamw"]
Encoding = Literal["plain", "corrected"]
Resampling = Literal["stochastic", "encoding"]
Variance = Literal["published", "released"]
Stage = Literal["pixel", "latent"]
Final = Literal[Stage, "none"]


@dataclass(frozen=True)
class ReSampleSettings:
    """Every choice of the algorithm (Song et al., ICLR 2024, Algorithm 1).

    Levels are fractions of the schedule: 1 is pure noise, 0 the clean image. Below, ``a_t`` is the schedule's
    cumulative product (alpha bar) at the present step and ``a_p`` at the next less noisy one.

    Attributes:
        n_steps: DDIM steps over the whole schedule; fewer are taken from a lower ``start_level``.
        start_level: level the sampling starts from.
        stop_level: above 0, the ``n_steps`` are instead spaced geometrically from ``start_level`` to this one: more of
            them where a start image leaves less to do.
        warm_start: what is encoded and noised to ``start_level``: an image by the prior's own rounds ("itnet"), by TV,
            by TV on coarse pixels or by CGLS, or nothing (pure noise).
        conditioned: whether the denoiser is also shown the last image that agrees with the data; it takes a prior that
            has been trained on that, and plain encoding.
        rounds: of a conditioned prior's estimate without noise and of the data, before the first noise; see
            `ctresample.solvers.itnet`.
        pixel_level: above this level there is no hard consistency; below, it is imposed in pixel space ...
        latent_level: ... and below this one in latent space (section 3.3 splits the schedule in three). 0 keeps it
            in pixel space to the end, and equal levels keep it in latent space.
        skip: hard consistency every so many steps.
        inner_steps: DDIM steps taken ahead of a hard step for a cleaner estimate, then undone by resampling.
        pixel_optimiser: "dual" solves the proximal problem with the noise and the prior's own error as weights, in
            measurement space, where few iterations do; "cg" solves the same problem in pixels, where early stopping
            keeps some of the noise out; "adamw" is the published gradient descent on eq. 8, stopped at the noise level.
        latent_optimiser: of eq. 9: "gauss-newton" linearises the decoder and solves the proximal problem in latents;
            "adamw" is the published gradient descent. Both stop at the noise level.
        encoding: back from pixels to latents: "plain" as published, ``E(x)``; "corrected" adds only what the data
            changed, ``z_0 + E(x) - E(D(z_0))``, so that the autoencoder's own error does not add up.
        cg_iterations: of one proximal step.
        newton_iterations: of one proximal step in latents, or where the measurement model is nonlinear.
        spread: what tells how far the prior's estimate is from the truth: the noise "level", by the error that the
            prior had on validation slices, or the estimate's own "misfit" to the data (`spread_of_misfit`).
        spread_scale: how far the image may move in a proximal step, in units of ``spread``.
            Above 1 the data are trusted more: in mid-run an estimate is further from the truth than a denoised truth.
        spread_power: the scale is multiplied by ``(t / t_start) ** spread_power``: above 0, later steps move less.
        pixel_lr: AdamW step in pixel space, in units of half the prior's HU range.
        pixel_iterations: AdamW steps in pixel space at most.
        latent_lr: AdamW step in latent space.
        latent_iterations: AdamW steps in latent space at most.
        gradient_scale: of a gradient step on the data's misfit after every DDIM step, as in Latent-DPS; 0 for none.
        resampling: after a hard step, back to noisy latents by "stochastic" resampling (Proposition 2), or by
            stochastic "encoding", which keeps nothing of the unconditional path (Proposition 1, the ablation of
            Figure 5).
        variance: sigma_t^2 of the resampling: "published" is eq. 13,
            ``gamma (1 - a_p) / a_t (1 - a_t / a_p)``; the "released" code has ``1 - a_t`` in place of ``a_t``.
        variance_scale: its gamma. When large, stochastic resampling becomes stochastic encoding.
        moving_frame: whether the prior sees the image shifted and mirrored another way after each hard step in pixel
            space, see `ctresample.solvers.resample.frames`. Noisy latents of one frame mean nothing in another, so
            this takes plain encoding, and resampling by stochastic encoding.
        averaged_steps: the prior's estimates of so many last steps of a chain, before their hard step, are averaged
            as images; 0 takes the latents of the last step as they are.
        chains: samplings from independent noise, whose decoded images are averaged before the final step.
        coupled: whether all slices of a volume get the same noise, so that neighbours do not flicker. Noise comes
            from the generators alone, so this is for whoever makes them: seed them alike.
        final: how the output is made consistent: "pixel" by a proximal step with total variation on the decoded
            image, "latent" as published, by a last fit in latent space, decoded; "none" leaves the decoded estimate.
        final_spread_hu: how far that proximal step expects the decoded image to be from the truth.
        final_iterations: iterations of that proximal step at most.
        residual_target: residual that the output is then brought to, in noise levels: away from the noise where it
            fits noise; where it does not fit, further only after "latent" and "none". None leaves it as it is.
        defects: of the released code, to measure what they cost; see `ctresample.solvers.resample.defects`.
    """

    n_steps: int
    start_level: float = 1.0
    stop_level: float = 0.0
    warm_start: WarmStart | None = None
    conditioned: bool = False
    rounds: int = 0
    pixel_level: float = 2 / 3
    latent_level: float = 1 / 3
    skip: int = 10
    inner_steps: int = 5
    pixel_optimiser: PixelOptimiser = "adamw"
    latent_optimiser: LatentOptimiser = "adamw"
    encoding: Encoding = "plain"
    cg_iterations: int = 30
    newton_iterations: int = 2
    spread: Spread = "level"
    spread_scale: float = 1.0
    spread_power: float = 0.0
    pixel_lr: float = 1e-2
    pixel_iterations: int = 2000
    latent_lr: float = 5e-3
    latent_iterations: int = 500
    gradient_scale: float = 0.0
    resampling: Resampling = "stochastic"
    variance: Variance = "published"
    variance_scale: float = 40.0
    moving_frame: bool = False
    averaged_steps: int = 0
    chains: int = 1
    coupled: bool = False
    final: Final = "latent"
    final_spread_hu: float = 140.0
    final_iterations: int = 400
    residual_target: float | None = None
    defects: tuple[Defect, ...] = ()

    def __post_init__(self) -> None:
        for names, least in _LEAST.items():
            for name in names.split():
                self._expect(name, least <= getattr(self, name) < math.inf, f"a number of {least} or more")
        for name in ("spread_scale", "final_spread_hu"):
            self._expect(name, 0 < getattr(self, name) < math.inf, "a number above 0")
        self._expect("start_level", 0 < self.start_level <= 1, "a fraction above 0, at most 1")
        self._expect("stop_level", 0 <= self.stop_level <= self.start_level, "0 to start_level")
        self._expect(
            "residual_target", self.residual_target is None or self.residual_target > 0, "a number above 0, or None"
        )
        self._expect("pixel_level", 0 <= self.pixel_level <= 1, "a fraction")
        self._expect("latent_level", 0 <= self.latent_level <= self.pixel_level, "0 to pixel_level")
        for name, kind in _CHOICES.items():
            self._expect(name, getattr(self, name) in get_args(kind), f"one of {', '.join(get_args(kind))}")
        starts = get_args(WarmStart)
        self._expect("warm_start", self.warm_start in (None, *starts), f"{', '.join(starts)}, or None")
        self._expect("defects", set(self.defects) <= set(get_args(Defect)), f"some of {', '.join(get_args(Defect))}")
        if self.start_level == 1 and self.warm_start:
            raise UsageError("resample settings: a warm start needs a start_level below 1, where it is not all noise")
        if self.conditioned and not (self.warm_start and self.is_fast):
            raise UsageError(
                "resample settings: conditioned takes a warm start, encoding plain, resampling encoding, and hard "
                "consistency in pixel space at every step"
            )
        if self.rounds and not self.conditioned:
            raise UsageError("resample settings: rounds are of a conditioned prior; set conditioned too")
        if self.averaged_steps and self.final == "latent":
            raise UsageError("resample settings: averaged_steps are of images; the final fit must be pixel or none")
        if self.moving_frame and (self.encoding, self.resampling) != ("plain", "encoding"):
            raise UsageError("resample settings: moving_frame takes encoding plain and resampling encoding")

    @property
    def is_fast(self) -> bool:
        """Whether `fast_chain` serves: consistency in pixel space at every step, and nothing else in between."""
        every_step = (self.skip, self.inner_steps, self.pixel_level, self.latent_level) == (1, 0, 1, 0)
        plain = (self.encoding, self.resampling, self.gradient_scale) == ("plain", "encoding", 0)
        return every_step and plain and not self.defects

    def stage(self, i: int, level: float) -> Stage | None:
        """Which hard consistency the ``i``-th step of a run calls for, at that level of the schedule."""
        if level > self.pixel_level or i % self.skip:
            return None
        return "pixel" if level > self.latent_level else "latent"

    def _expect(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise UsageError(f"resample settings: {name} is {getattr(self, name)!r}; expected {expected}")


_LEAST = {
    "n_steps skip cg_iterations newton_iterations chains final_iterations": 1,
    "inner_steps pixel_iterations latent_iterations averaged_steps rounds": 0,
    "pixel_lr latent_lr gradient_scale variance_scale spread_power": 0,
}
_CHOICES = {
    "pixel_optimiser": PixelOptimiser,
    "latent_optimiser": LatentOptimiser,
    "encoding": Encoding,
    "resampling": Resampling,
    "variance": Variance,
    "spread": Spread,
    "final": Final,
}
