"""Settings of the training of a prior's coarse denoiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ctresample.errors import UsageError
from ctresample.pipelines.training.settings import RunSettings


@dataclass(frozen=True)
class CoarseSettings:
    """Shape and training of a coarse denoiser, and the steps of the schedule that it gets.

    Attributes:
        run: the training run.
        blocks: blocks of latents along a side, over which the network sees averages.
        channels: width of the network at each resolution.
        layers_per_block: residual layers at each resolution.
        from_step: first step of the schedule that is its own.
        noisiest: noise over signal at the schedule's last step, in normalised latents; the steps from ``from_step`` on
            are spread evenly, in its logarithm, up to this. It must drown the mean of a slice, not only its pixels, or
            sampling from pure noise starts from what the network takes for a slice of strange shape.
        low_noise_bias: levels are drawn as ``u ** low_noise_bias`` of the way to the noisiest.
        pool: whole slices encoded once and drawn from, a new pool every ``pool`` steps.
        whole_share: share of whole slices; the rest are crops.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a recipe with a misspelt entry is refused

    run: RunSettings
    blocks: int = 16
    channels: tuple[int, ...] = (64, 96, 128)
    layers_per_block: int = 1
    from_step: int = 700
    noisiest: float = 1000.0
    low_noise_bias: float = 1.5
    pool: int = 2000
    whole_share: float = 1.0

    def __post_init__(self) -> None:
        if not self.channels or self.blocks % 2 ** (len(self.channels) - 1) or self.blocks < 1:
            raise UsageError(
                f"training: blocks is {self.blocks} and channels {list(self.channels)}; expected one width or more, "
                "and a number of blocks that can be halved once for each further width"
            )
        if self.pool < 2 or self.low_noise_bias <= 0 or self.from_step < 1:
            raise UsageError(
                f"training: pool is {self.pool}, low_noise_bias {self.low_noise_bias} and from_step {self.from_step}; "
                "expected a pool of 2 or more, a bias above 0 and a step from 1 on"
            )
