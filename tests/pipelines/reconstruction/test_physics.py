"""Counts and a tube's spectrum, from the sinogram to the image: what they are better for, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.errors import UsageError
from ctresample.geometry import FanBeam, ImageGrid
from ctresample.operators import Polychromatic, SparseProjector, Spectrum
from ctresample.pipelines.reconstruction.physics import Physics
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.simulate import simulate
from ctresample.sinogram import Sinogram
from ctresample.solvers.resample import PRESETS
from ctresample.units import AIR_HU, MU_WATER_PER_MM
from ctresample.volume import Volume

GRID = ImageGrid((32, 32), 10.0)


def volume_of(hu: np.ndarray) -> Volume:
    return Volume(np.stack([hu, hu[::-1]]).astype(np.float32), np.diag([10.0, 10.0, 2.0, 1.0]))


@pytest.fixture(scope="module")
def cylinder(phantoms) -> np.ndarray:
    """30 cm of water: of 1000 photons sent three arrive."""
    return phantoms.image(GRID, [phantoms.disk(1000.0, (0.0, 0.0), 150.0)]) + AIR_HU


def middle(hu: np.ndarray) -> np.ndarray:
    return hu[:, np.hypot(GRID.x_mm, GRID.y_mm[:, None]) < 100]


def test_counts_are_not_biased_where_few_arrive(cylinder):
    scan = simulate(volume_of(cylinder), n_views=90, size=32, photons=1000)
    by_log, by_counts = (
        reconstruct(scan, method="tv", physics=Physics(model)) for model in ("line-integrals", "counts")
    )
    assert middle(by_log.image_hu).mean() > 10  # the logarithm of few counts is too high on average
    assert abs(middle(by_counts.image_hu).mean()) < 5
    assert np.mean(by_counts.residual_ratio) == pytest.approx(1, abs=0.1)
    assert by_counts.settings == {"model": "counts", "tube_kilovolts": None, "z_coupling": 1.0}


@pytest.mark.parametrize("method", ["tv", "wls"])
def test_spectrum_undoes_cupping(method, cylinder):
    geometry = FanBeam.for_grid(GRID, 120)
    mu = torch.tensor((cylinder - AIR_HU) * MU_WATER_PER_MM / 1000, dtype=torch.float32)[None, None]
    beam = Polychromatic(SparseProjector(geometry, GRID), Spectrum.of_tube(120, step_kev=1))
    scan = Sinogram(beam(mu)[0].numpy(), geometry, GRID, np.diag([10.0, 10.0, 1.0, 1.0]))
    at_one, at_all = (reconstruct(scan, method=method, physics=Physics(tube_kilovolts=kv)) for kv in (None, 120.0))
    assert abs(middle(at_one.image_hu)).mean() > 15
    assert abs(middle(at_all.image_hu)).mean() < 4


@pytest.mark.parametrize("physics", [Physics("counts"), Physics(tube_kilovolts=120.0), Physics("counts", 100.0)])
def test_resample(physics, cylinder, toy_prior, monkeypatch):
    # few and gentle steps: a random network amplifies the rounding of sums in another order
    small = replace(PRESETS["fast"], n_steps=8, start_level=0.5, spread_scale=1.0, variance_scale=40.0)
    monkeypatch.setitem(PRESETS, "small", small)
    scan = simulate(volume_of(cylinder), n_views=20, size=32, photons=1e4)
    options = {"method": "resample", "preset": "small", "prior": toy_prior.random_prior(), "physics": physics}
    together = reconstruct(scan, **options)
    assert np.isfinite(together.image_hu).all()
    assert together.settings["model"] == physics.model
    alone = reconstruct(scan, **options, batch_size=1)
    assert np.sqrt(((alone.image_hu - together.image_hu) ** 2).mean()) < 3


@pytest.mark.parametrize("method", ["fbp", "sirt", "cgls"])
@pytest.mark.parametrize("physics", [Physics("counts"), Physics(tube_kilovolts=120.0)])
def test_methods_that_know_lines_only(method, physics, cylinder):
    scan = simulate(volume_of(cylinder), n_views=4, size=32, photons=1e4)
    with pytest.raises(UsageError, match=f"method {method} knows line integrals at one energy only"):
        reconstruct(scan, method=method, physics=physics)


def test_counts_need_photons(cylinder):
    scan = simulate(volume_of(cylinder), n_views=4, size=32)
    with pytest.raises(UsageError, match="the sinogram states none"):
        reconstruct(scan, method="tv", physics=Physics("counts"))


@pytest.mark.parametrize(("physics", "message"), [(Physics("magic"), "expected one of line-integrals, counts")])
def test_unknown_model(physics, message, cylinder):
    scan = simulate(volume_of(cylinder), n_views=4, size=32, photons=1e4)
    with pytest.raises(UsageError, match=message):
        reconstruct(scan, method="tv", physics=physics)


@pytest.mark.parametrize("kilovolts", [0.0, -1.0, 1e6, float("nan")])
def test_voltage(kilovolts, cylinder):
    scan = simulate(volume_of(cylinder), n_views=4, size=32, photons=1e4)
    with pytest.raises(UsageError, match="spectrum of .* kV"):
        reconstruct(scan, method="tv", physics=Physics(tube_kilovolts=kilovolts))
