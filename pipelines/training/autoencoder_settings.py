"""Settings of the training of an autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ctresample.errors import UsageError
from ctresample.pipelines.training.discriminator import SMALLEST_SEEN_PX
from ctresample.pipelines.training.settings import RunSettings
from ctresample.pipelines.training.ssim import WINDOW_SIZE
from ctresample.units import check_hu_range


@dataclass(frozen=True)
class AutoencoderSettings:
    """Shape and losses of the autoencoder.

    Attributes:
        run: the training run.
        network: its diffusers class. "AutoencoderTiny" is small, has no normalisation layers, which would have to
            relearn the absolute HU scale that they remove, and works well on stacked patches. "AutoencoderKL" and
            "VQModel" are the autoencoders of latent diffusion (Rombach et al., CVPR 2022).
        hu_range: HU at model values -1 and 1; values outside are clipped before training.
        image_size: rows and columns of the images.
        crop_size: edge of the crops trained on; the networks are convolutional, so small crops do.
        whole_share: share of whole slices; the rest are crops at the scanner's pixel size.
        patch_size: pixels along a patch that is stacked into channels before the network.
        channels: width of the network at each resolution; each one after the first halves the resolution.
        blocks: residual blocks at each resolution, in the encoder and in the decoder.
        latent_channels: channels of the latents.
        start: of an AutoencoderTiny with one resolution: "pca" is the linear transform to the principal components
            of the patches, already a good autoencoder; "random" is a network's usual start.
        codebook_size: vectors of a VQModel.
        latent_noise: standard deviation of noise added to latents in training, for a smooth decoder.
        l1_weight: of the mean absolute error.
        square_weight: of the mean squared error.
        gradient_weight: of the mean absolute error of the differences of neighbouring pixels.
        ssim_weight: of one minus the structural similarity over the HU range.
        kl_weight: of an AutoencoderKL's divergence from a standard normal distribution, a latent value.
        codebook_weight: of a VQModel's codebook and commitment loss.
        adversarial_weight: of a patch discriminator's verdict, relative to the other losses; 0: no discriminator.
        adversarial_start: step from which the network is told the verdict; the discriminator learns from the first.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a recipe with a misspelt entry is refused

    run: RunSettings
    network: Literal["AutoencoderTiny", "AutoencoderKL", "VQModel"] = "AutoencoderTiny"
    hu_range: tuple[float, float] = (-1000.0, 2000.0)
    image_size: int = 256
    crop_size: int = 128
    whole_share: float = 0.65
    patch_size: int = 4
    channels: tuple[int, ...] = (128,)
    blocks: int = 2
    latent_channels: int = 8
    start: Literal["pca", "random"] = "random"
    codebook_size: int = 8192
    latent_noise: float = 0.0
    l1_weight: float = 1.0
    square_weight: float = 2.0
    gradient_weight: float = 0.25
    ssim_weight: float = 0.0
    kl_weight: float = 1e-6
    codebook_weight: float = 1.0
    adversarial_weight: float = 0.0
    adversarial_start: int = 0

    def __post_init__(self) -> None:
        check_hu_range(self.hu_range)
        if not self.channels:
            raise UsageError("autoencoder: channels is empty; expected a width for each resolution, such as [128]")
        if self.crop_size > self.image_size or self.crop_size % self.factor or self.image_size % self.factor:
            raise UsageError(
                f"autoencoder: crop_size is {self.crop_size} and image_size {self.image_size}; expected multiples of "
                f"{self.factor} (patch_size times a halving for each further entry of channels), the crop no larger"
            )
        least = SMALLEST_SEEN_PX if self.adversarial_weight else WINDOW_SIZE if self.ssim_weight else 1
        if self.crop_size < least:
            raise UsageError(f"autoencoder: crop_size is {self.crop_size}; these losses need {least} or more")
        if self.start == "pca":
            self._check_pca_start()

    @property
    def factor(self) -> int:
        """Pixels along an image for one along the latents."""
        return int(self.patch_size * 2 ** (len(self.channels) - 1))

    def _check_pca_start(self) -> None:
        components = self.patch_size**2
        if self.network != "AutoencoderTiny" or len(self.channels) != 1:
            raise UsageError("autoencoder: start is pca, which is for an AutoencoderTiny with one entry in channels")
        if not 2 * self.latent_channels <= self.channels[0] or self.latent_channels > components:
            raise UsageError(
                f"autoencoder: start is pca with {self.latent_channels} latent_channels and channels "
                f"{list(self.channels)}; expected at most {components} latent channels and twice their number in width"
            )
