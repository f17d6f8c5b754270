"""Cone beams by the methods with a diffusion prior: slices for the networks, the volume for the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.pipelines.reconstruction.methods import METHODS
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.simulate import simulate
from ctresample.solvers.diffusion.volumes import from_slices, n_slices, to_slices
from ctresample.solvers.resample import PRESETS
from ctresample.volume import Volume


@pytest.fixture(scope="module")
def cone():
    hu = np.full((3, 20, 20), -1000.0, np.float32)
    hu[:, 5:15, 6:14] = 40
    return simulate(Volume(hu, np.diag([12.0, 12.0, 6.0, 1.0])), n_views=8, beam="cone", size=20, photons=1e5)


@pytest.mark.parametrize("method", ["resample", "dds", "latent-dps"])
def test_sides_that_networks_do_not_take(method, cone, toy_prior):
    """20 is no multiple of 8: slices are padded for the networks, and come back in their own size."""
    settings = PRESETS["fast"] if method == "resample" else METHODS[method].load_settings()
    prior = toy_prior.random_pixel_prior() if method == "dds" else toy_prior.random_prior()
    changes = {"n_steps": 2} | ({"final_iterations": 20} if method == "resample" else {})
    found = reconstruct(cone, method=method, settings=replace(settings, **changes), prior=prior, batch_size=2)
    assert found.image_hu.shape == (3, 20, 20)
    assert np.isfinite(found.image_hu).all()
    assert len(set(found.residual_ratio)) == 1


def test_volumes_and_slices_are_inverse():
    volume = torch.rand(2, 1, 3, 5, 7)
    slices = to_slices(volume, 4)
    assert slices.shape == (6, 1, 8, 8)
    assert float(slices[..., 5:, :].abs().max()) == 0
    assert torch.equal(from_slices(slices, (3, 5, 7)), volume)
    image = torch.rand(2, 1, 5, 7)
    assert to_slices(image, 4) is image
    assert from_slices(image, (5, 7)) is image
    assert (n_slices((5, 7)), n_slices((3, 5, 7))) == (1, 3)
