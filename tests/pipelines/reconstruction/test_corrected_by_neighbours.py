"""Who gets a prior's denoiser of neighbours: coupled slices that are seen by other rays; nobody else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.simulate import simulate
from ctresample.solvers.resample import PRESETS
from ctresample.volume import Volume

SETTINGS = replace(PRESETS["fast"], n_steps=2, final_iterations=20, warm_start="tv")


@pytest.fixture(scope="module")
def volume() -> Volume:
    hu = np.full((4, 32, 32), -1000.0, np.float32)
    for k in range(4):
        hu[k, 8 : 20 + k, 6:24] = 40
    return Volume(hu, np.diag([12.0, 12.0, 2.0, 1.0]))


@pytest.mark.parametrize(
    ("beam", "stagger", "z_coupling", "corrected"),
    [
        ("parallel", 2, "1", True),
        ("parallel", 2, "none", False),
        ("parallel", 1, "1", False),
        ("cone", 1, "1", True),
        ("cone", 1, "none", False),
    ],
)
def test_coupled_slices_seen_by_other_rays_are_corrected(beam, stagger, z_coupling, corrected, volume, toy_prior):
    scan = simulate(volume, n_views=8, beam=beam, size=32, photons=1e5, stagger=stagger)
    plain = toy_prior.random_prior()
    shared = {"method": "resample", "settings": SETTINGS, "z_coupling": z_coupling, "batch_size": 3}
    without, with_network = (
        reconstruct(scan, prior=prior, **shared).image_hu for prior in (plain, toy_prior.with_neighbours(plain))
    )
    assert np.array_equal(without, with_network) == (not corrected)


def test_a_single_slice_and_a_conditioned_chain_stay(volume, toy_prior):
    scan = simulate(volume, n_views=8, size=32, photons=1e5, stagger=2)
    knowing = toy_prior.random_prior(condition_spread=0.3)
    both = (knowing, toy_prior.with_neighbours(knowing))
    draft = replace(PRESETS["draft"], n_steps=2, final_iterations=20)
    shown, corrected = (
        reconstruct(scan, method="resample", settings=draft, prior=prior, z_coupling="1").image_hu for prior in both
    )
    assert np.array_equal(shown, corrected)
    alone, same = (
        reconstruct(scan.part([1]), method="resample", settings=SETTINGS, prior=prior).image_hu for prior in both
    )
    assert np.array_equal(alone, same)
