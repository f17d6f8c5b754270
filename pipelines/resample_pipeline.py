"""ReSample as a pipeline of diffusers, as people of that field expect one: with the same solver as `reconstruct`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from diffusers import DDIMScheduler, DiffusionPipeline, UNet2DModel
from diffusers.utils import BaseOutput
from numpy.typing import NDArray

from ctresample.arrays import as_array
from ctresample.consistency import residual_ratio
from ctresample.errors import PriorError, UsageError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.networks import Autoencoder
from ctresample.learned.prior_config import PriorConfig
from ctresample.operators import Projector, make_projector
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.reconstruction.problem import Problem
from ctresample.pipelines.reconstruction.slice_generators import slice_generators
from ctresample.pipelines.reconstruction.solve import Batch, sampled
from ctresample.pipelines.reconstruction.warm_start import with_start
from ctresample.sinogram import Sinogram
from ctresample.solvers.diffusion.schedule import Step, steps_of
from ctresample.solvers.resample import PRESETS, ReSampleSettings, resample
from ctresample.status import Status
from ctresample.units import MU_WATER_PER_MM, mu_to_hu

OutputType = Literal["hu", "pt", "np"]
Images = NDArray[np.float32] | torch.Tensor

OnStepEnd = Callable[["ReSamplePipeline", int, int, dict[str, Any]], Any]
"""Told the pipeline, the step from 0, the step of the schedule, and ``{"residual_ratio": ...}``."""


@dataclass
class ReSamplePipelineOutput(BaseOutput):
    """What the pipeline gives back.

    Attributes:
        images: as the output type says.
        residual_ratio: one value a slice: observed data residual over the one the noise predicts.
    """

    images: Images
    residual_ratio: tuple[float, ...]


class ReSamplePipeline(DiffusionPipeline):
    """Sparse-view CT reconstruction by latent diffusion with hard data consistency (Song et al., ICLR 2024).

    A folder of the pipeline is a folder of the prior, and the other way round.

    Example:
        >>> import numpy as np
        >>> from ctresample import ReSamplePipeline, Volume, simulate
        >>> pipe = ReSamplePipeline.from_pretrained("ct256")
        >>> pipe.set_progress_bar_config(disable=True)
        >>> scan = simulate(Volume(np.zeros((1, 32, 32)), np.eye(4)), n_views=12, size=32, photons=1e5)
        >>> pipe(scan, generator=torch.Generator().manual_seed(1), num_inference_steps=2).images.shape
        (1, 32, 32)

    Args:
        vae: the autoencoder.
        unet: the denoiser of latents.
        scheduler: holds the noise schedule and the kind of prediction.
        coarse: the coarse denoiser, of a prior that has one.
        scan_unet: the denoiser of scans, of a prior that has one.
        prior_config: the values of a `ctresample.learned.prior_config.PriorConfig`; needed.
    """

    model_cpu_offload_seq = "unet->vae"
    _optional_components = ["coarse", "scan_unet"]

    def __init__(
        self,
        vae: Autoencoder,
        unet: UNet2DModel,
        scheduler: DDIMScheduler,
        coarse: UNet2DModel | None = None,
        scan_unet: UNet2DModel | None = None,
        prior_config: dict[str, object] | None = None,  # with a default, for diffusers takes the others for networks
    ) -> None:
        super().__init__()
        if prior_config is None:
            raise PriorError("prior_config is not given; expected the values of a prior's prior.json")
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler, coarse=coarse, scan_unet=scan_unet)
        self.register_to_config(prior_config=prior_config)
        self._prior_config = PriorConfig.of(prior_config)
        self._interrupt = False

    @classmethod
    def from_prior(cls, prior: LatentPrior) -> ReSamplePipeline:
        """The pipeline of a prior that is loaded already."""
        coarse = prior.coarse.unet if prior.coarse else None
        return cls(prior.vae, prior.unet, prior.scheduler, coarse, prior.scan_unet, asdict(prior.config))

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: StrPath, *, torch_dtype: torch.dtype = torch.float32
    ) -> ReSamplePipeline:
        """Load a bundled prior by name, or one from a folder; nothing is downloaded.

        The folder is one that `save_pretrained` wrote, here or of a `LatentPrior`; a model of others is made one by
        ``ctresample prior import``.

        Raises:
            PriorError: no such prior, one that is incomplete, or one of others that is not imported yet.
            UsageError: another type than 32-bit floats.
        """
        if torch_dtype != torch.float32:
            raise UsageError(f"torch_dtype is {torch_dtype}; expected torch.float32, in which the data are fitted")
        return cls.from_prior(LatentPrior.from_pretrained(pretrained_model_name_or_path))

    def save_pretrained(self, save_directory: StrPath) -> None:
        """Write all networks at full precision, the schedule, ``model_index.json`` and ``prior.json``."""
        folder = as_path(save_directory, "save_directory")
        super().save_pretrained(folder)
        self.prior.config.save(folder)

    @property
    def prior(self) -> LatentPrior:
        """The prior, on the pipeline's device."""
        prior = LatentPrior(self.vae, self.unet, self.scheduler, self._prior_config, self.coarse, self.scan_unet)
        return prior.to(self.device)

    @torch.no_grad()
    def __call__(
        self,
        sinogram: Sinogram | StrPath | None = None,
        *,
        measurement: torch.Tensor | NDArray[Any] | None = None,
        operator: Projector | None = None,
        sigma: torch.Tensor | NDArray[Any] | None = None,
        mu_water_per_mm: float = MU_WATER_PER_MM,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        num_inference_steps: int | None = None,
        settings: ReSampleSettings | str = "fast",
        batch_size: int = 8,
        output_type: OutputType = "hu",
        return_dict: bool = True,
        callback_on_step_end: OnStepEnd | None = None,
    ) -> ReSamplePipelineOutput | tuple[Images]:
        """Images of a sinogram, or of a measurement with its operator; slices by themselves.

        Args:
            sinogram: measured or simulated line integrals, or the path of a sinogram file.
            measurement: line integrals ``(B, 1, views, detectors)``, in place of a sinogram.
            operator: the projector of a measurement, on the pipeline's device.
            sigma: standard deviation of each value of a measurement.
            mu_water_per_mm: attenuation of water that HU refer to; a sinogram has its own.
            generator: one, from which the seed of all slices is drawn; or one a slice, on the CPU. None draws from
                torch's own.
            num_inference_steps: in place of the settings' ``n_steps``.
            settings: the settings, or the name of a preset.
            batch_size: slices reconstructed together.
            output_type: "hu" for an array ``[slice, y, x]`` in HU; "np" and "pt" as diffusers has them, from 0 to 1
                over the prior's HU range: an array ``(B, H, W, 1)``, a tensor ``(B, 1, H, W)``.
            return_dict: whether to give back a `ReSamplePipelineOutput`; else a tuple of the images alone.
            callback_on_step_end: see `OnStepEnd`; it may set ``pipeline._interrupt`` to stop.

        Raises:
            UsageError: neither a sinogram nor a measurement with its operator and sigma, or an unknown option.
            PriorError: the image does not fit the prior.
        """
        if output_type not in ("hu", "pt", "np"):
            raise UsageError(f"output_type is {output_type!r}; expected hu, pt or np")
        chosen, scan = _settings(settings, num_inference_steps), None
        if sinogram is not None:
            if measurement is not None or operator is not None or sigma is not None:
                raise UsageError("sinogram has a measurement of its own; leave measurement, operator and sigma out")
            scan = sinogram if isinstance(sinogram, Sinogram) else _read(sinogram)
            if scan.angle_shifts_rad is not None or scan.geometry.is_volume:
                what = "a cone beam" if scan.geometry.is_volume else "of slices seen from different angles"
                raise UsageError(
                    f"the sinogram is {what}; expected slices seen from the same; use ctresample.reconstruct"
                )
            operator = make_projector(scan.geometry, scan.grid, device=self.device)
            measurement, sigma = scan.values[:, None], scan.sigma()[:, None]
            mu_water_per_mm = scan.mu_water_per_mm
        if measurement is None or operator is None or sigma is None:
            raise UsageError("expected a sinogram, or a measurement with its operator and sigma")
        prior = self.prior
        prior.check_shape(operator.domain_shape)
        chosen = with_start(chosen, prior, scan, by_itself=True)
        y, s = (_on(self.device, one, name) for one, name in ((measurement, "measurement"), (sigma, "sigma")))
        generators = _generators(generator, len(y), chosen)
        self._interrupt = False
        images, ratios = [], []
        steps = steps_of(self.scheduler, chosen.n_steps, chosen.start_level, chosen.stop_level)
        with self.progress_bar(total=-(-len(y) // batch_size) * chosen.chains * len(steps)) as bar:
            watch = self._watch(steps, bar, callback_on_step_end)
            for first in range(0, len(y), batch_size):
                part = slice(first, first + batch_size)
                problem = Problem(operator, y[part], s[part])
                batch = Batch(
                    y=y[part],
                    A=operator,
                    sigma=s[part],
                    problem=problem,
                    mu_water_per_mm=mu_water_per_mm,
                    model=prior,
                    settings=chosen,
                    generators=generators[part],
                    watch=watch,
                )
                mu = sampled(resample, batch)
                ratios += residual_ratio((operator(mu) - y[part]) / s[part]).tolist()
                images.append(mu_to_hu(mu, mu_water_per_mm))
        made = _output(torch.cat(images), output_type, prior.config.hu_range)
        return ReSamplePipelineOutput(made, tuple(ratios)) if return_dict else (made,)

    def _watch(self, steps: Sequence[Step], bar: Any, callback: OnStepEnd | None) -> Callable[[float, Status], Any]:
        def watch(share: float, status: Status) -> bool:
            if status.solver == "resample":  # not the image that it starts from
                bar.update()
                if callback:
                    step = steps[(status.step - 1) % len(steps)]
                    callback(self, status.step - 1, step.t, {"residual_ratio": status.residual_ratio})
            return not self._interrupt

        return watch


def _read(place: StrPath) -> Sinogram:
    from ctresample.data_tools.sinogram.reading import read_sinogram

    return read_sinogram(place)


def _settings(given: ReSampleSettings | str, n_steps: int | None) -> ReSampleSettings:
    if isinstance(given, str):
        if given not in PRESETS:
            raise UsageError(f"settings is {given!r}; expected ReSampleSettings or one of {', '.join(PRESETS)}")
        given = PRESETS[given]
    return given if n_steps is None else replace(given, n_steps=n_steps)


def _generators(
    given: torch.Generator | Sequence[torch.Generator] | None, n: int, settings: ReSampleSettings
) -> list[torch.Generator]:
    if isinstance(given, Sequence):
        if len(given) != n:
            raise UsageError(f"there are {len(given)} generators for {n} slices; expected one each, or one for all")
        return list(given)
    device = "cpu" if given is None else given.device
    seed = int(torch.randint(2**62, (1,), generator=given, device=device))
    return slice_generators(seed, range(n), coupled=settings.coupled)


def _on(device: torch.device, values: torch.Tensor | NDArray[Any], name: str) -> torch.Tensor:
    made = values if isinstance(values, torch.Tensor) else torch.from_numpy(as_array(values, name))
    return made.to(device, torch.float32)


def _output(hu: torch.Tensor, kind: OutputType, hu_range: tuple[float, float]) -> Images:
    if kind == "hu":
        return hu[:, 0].cpu().numpy()
    low, high = hu_range
    shares = ((hu - low) / (high - low)).clamp(0, 1)
    return shares if kind == "pt" else shares.permute(0, 2, 3, 1).cpu().numpy()
