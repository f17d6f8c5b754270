"""Samples of a prior in training, always from the same noise."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.learned.diffusion_prior import DiffusionPrior
from ctresample.pipelines.sampling import ancestral, latent_shape
from ctresample.pipelines.training.objective import random_numbers
from ctresample.pipelines.training.pictures import sample_grid

N_SAMPLES = 4
SAMPLING_STEPS = 20


@torch.no_grad()
def training_samples(prior: DiffusionPrior) -> NDArray[np.uint8]:
    """Four samples from pure noise, side by side in a square."""
    levels = torch.linspace(len(prior.alpha_bar) - 1, 0, SAMPLING_STEPS).long().tolist()
    generators = [random_numbers(2, k) for k in range(N_SAMPLES)]
    drawn = ancestral(prior, latent_shape(prior, prior.config.image_size), levels, generators)
    return sample_grid(prior.decode(drawn)[:, 0].cpu().numpy())
