"""The chains that read like the paper and like our presets are the general one, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.resample import PRESETS, resample, sampler
from ctresample.solvers.resample.ablations import any_chain

GRID = ImageGrid((16, 16), 12.0)
FEWER = {"n_steps": 12, "pixel_iterations": 3, "latent_iterations": 3, "cg_iterations": 3, "final_iterations": 20}
SHORT = {
    name: replace(preset, **FEWER, averaged_steps=min(preset.averaged_steps, 5)) for name, preset in PRESETS.items()
}


def run(settings, toy_prior):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 6), GRID)
    truth = torch.full((1, 1, *GRID.shape), 0.02)
    y = A(truth) + 0.01 * torch.randn(1, 1, *A.range_shape, generator=torch.Generator().manual_seed(0))
    return resample(
        y,
        A,
        toy_prior.random_prior(),
        sigma=torch.full_like(y, 0.01),
        settings=settings,
        generators=[torch.Generator().manual_seed(3)],
        start=0.9 * truth if settings.start_level < 1 else None,
    )


@pytest.mark.parametrize("preset", [name for name, one in PRESETS.items() if not one.conditioned])
def test_presets_are_the_general_chain(preset, toy_prior, monkeypatch):
    own = run(SHORT[preset], toy_prior)

    def general(problem, steps, z, condition, generators, told):
        return any_chain(problem, steps, z, generators, told)

    monkeypatch.setattr(sampler, "_chain", general)
    assert torch.equal(own, run(SHORT[preset], toy_prior))


@pytest.mark.parametrize(
    ("preset", "chain"), [("fast", "fast_chain"), ("paper", "algorithm_1"), ("released_code", "any_chain")]
)
def test_each_preset_takes_its_own_chain(preset, chain, toy_prior, monkeypatch):
    class Taken(Exception):
        pass

    def taken(*_):
        raise Taken

    monkeypatch.setattr(sampler, chain, taken)
    with pytest.raises(Taken):
        run(SHORT[preset], toy_prior)
