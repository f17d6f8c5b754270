"""ReSample: latent diffusion sampling made hard-consistent with the measurement (Song et al., ICLR 2024)."""

from ctresample.solvers.resample.presets import PRESETS
from ctresample.solvers.resample.sampler import resample
from ctresample.solvers.resample.settings import ReSampleSettings

__all__ = ["PRESETS", "ReSampleSettings", "resample"]
