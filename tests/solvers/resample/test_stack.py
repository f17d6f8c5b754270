"""Slices of a stack whose errors are taken for independent: each is sampled as by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ctresample.consistency import Neighbours
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, StackProjector
from ctresample.solvers.resample import PRESETS, resample

GRID = ImageGrid((32, 32), 6.0)


@pytest.mark.parametrize("spread", ["misfit", "level"])
def test_a_slice_does_not_depend_on_the_others(spread, phantoms, toy_prior):
    few = {"n_steps": 2, "start_level": 0.1, "stop_level": 0.01, "averaged_steps": 1, "final": "none"}
    settings = replace(PRESETS["fast"], spread=spread, **few)
    A = SparseProjector(ParallelBeam.for_grid(GRID, 10), GRID)
    image = phantoms.image(GRID, phantoms.head(GRID))
    truth = phantoms.as_batch(image, image.T / 2, image / 4, dtype=A.dtype)
    sigma = torch.tensor([0.02, 0.01, 0.05]).view(3, 1, 1, 1).expand(3, 1, *A.range_shape)
    y = A(truth) + sigma * torch.randn(sigma.shape, generator=torch.Generator().manual_seed(0))
    start = torch.nn.functional.avg_pool2d(truth, 5, 1, 2)
    prior = toy_prior.random_prior()

    def generators():
        return [torch.Generator().manual_seed(seed) for seed in range(3)]

    alone = resample(y, A, prior, sigma=sigma, settings=settings, start=start, generators=generators())
    y, sigma, start = (values.reshape(1, 1, 3, *values.shape[2:]) for values in (y, sigma, start))
    found = resample(
        y,
        StackProjector([A] * 3, 2.0),
        prior,
        sigma=sigma,
        settings=settings,
        start=start,
        generators=generators(),
        neighbours=Neighbours((0.3, 1.0, 1.0)),
    )
    torch.testing.assert_close(found[0, 0], alone[:, 0], rtol=0, atol=1e-6)
