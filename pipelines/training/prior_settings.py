"""Settings of the training of a prior's diffusion model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from ctresample.choices import TrainedPrediction
from ctresample.errors import UsageError
from ctresample.pipelines.training.condition_settings import ConditionSettings
from ctresample.pipelines.training.settings import RunSettings
from ctresample.units import check_hu_range


@dataclass(frozen=True)
class DiffusionSettings:
    """What training from scratch and fine-tuning share.

    Attributes:
        run: the training run.
        whole_share: share of whole slices; the rest are crops at the scanner's pixel size.
        four_share: share of images that are four whole slices side by side, on pixels twice as wide: for a prior that
            is to know coarse voxels, too. It needs half the image size to be one that the networks take.
        pool: latents encoded once and drawn from, a new pool every ``pool`` steps.
        low_noise_bias: timesteps are drawn as ``u ** low_noise_bias``; above 1 favours low noise, where sampling
            with a warm start spends its steps.
        fast_share: share of timesteps that are drawn where ReSample's `fast` and `quality` spend theirs instead, evenly
            in their logarithm (`diffusion_objective.FAST_STEPS`): to finish a prior for these.
        min_snr_gamma: the largest weight of an error of the clean latents (min-SNR weighting); None: no weighting.
        condition: the scans that the denoiser learns to be conditioned on; None: a prior of images alone.
        provenance: copied to the prior's config: data, licences.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a recipe with a misspelt entry is refused

    run: RunSettings
    whole_share: float = 0.65
    four_share: float = 0.0
    pool: int = 2000
    low_noise_bias: float = 1.5
    fast_share: float = 0.0
    min_snr_gamma: float | None = None
    condition: ConditionSettings | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pool < 2 or self.low_noise_bias <= 0 or (self.min_snr_gamma is not None and self.min_snr_gamma <= 0):
            raise UsageError(
                f"training: pool is {self.pool}, low_noise_bias {self.low_noise_bias} and min_snr_gamma "
                f"{self.min_snr_gamma}; expected a pool of 2 or more and numbers above 0"
            )
        for name in ("four_share", "fast_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"training: {name} is {getattr(self, name)}; expected a share from 0 to 1")
        if self.four_share and self.condition:
            raise UsageError(
                f"training: four_share is {self.four_share}, but a denoiser with a condition learns from scans of "
                "single slices; leave one of them out"
            )


@dataclass(frozen=True)
class DenoiserSettings(DiffusionSettings):
    """Shape and training of a new denoiser; all that a prior of pixels needs.

    Attributes:
        name: of the prior.
        hu_range: HU at model values -1 and 1; of a latent prior the autoencoder's.
        image_size: rows and columns of the images.
        patch_size: pixels along a patch that is stacked into channels; of a latent prior the autoencoder's.
        channels: width of the UNet at each resolution.
        layers_per_block: residual layers at each resolution.
        prediction_type: what the UNet predicts, the noise or the velocity.
    """

    name: str = "prior"
    hu_range: tuple[float, float] = (-1000.0, 2000.0)
    image_size: int = 256
    patch_size: int = 4
    channels: tuple[int, ...] = (64, 128, 192)
    layers_per_block: int = 2
    prediction_type: TrainedPrediction = "v_prediction"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_hu_range(self.hu_range)
        if not self.channels or self.image_size % (self.patch_size * 2 ** (len(self.channels) - 1)):
            raise UsageError(
                f"training: image_size is {self.image_size} and channels {list(self.channels)}; expected one width or "
                "more, and a multiple of patch_size times a halving for each further width"
            )


@dataclass(frozen=True)
class PriorSettings(DenoiserSettings):
    """Shape and training of the diffusion model of a latent prior.

    Attributes:
        latent_scaling: "channel": each latent channel to unit standard deviation. "power": each divided by its
            standard deviation to the power of ``latent_scaling_exponent``, for a mean variance of 1.
        latent_scaling_exponent: of "power"; 1 is the same as "channel", 0 one factor for all channels.
        start_from: another prior, by name or folder, whose UNet weights are taken where shapes agree.
    """

    latent_scaling: Literal["channel", "power"] = "channel"
    latent_scaling_exponent: float = 0.5
    start_from: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.latent_scaling_exponent <= 1:
            raise UsageError(
                f"training: latent_scaling_exponent is {self.latent_scaling_exponent}; expected a number from 0 to 1"
            )


@dataclass(frozen=True)
class FinetuneSettings(DiffusionSettings):
    """Training of a prior's UNet on new slices.

    Attributes:
        name: of the new prior; None: the old name with "-finetuned".
        lora_rank: of the low-rank updates that are trained in place of all weights; 0: all weights are.
    """

    name: str | None = None
    lora_rank: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lora_rank < 0:
            raise UsageError(f"training: lora_rank is {self.lora_rank}; expected 0 (all weights) or more")
