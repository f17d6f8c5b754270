"""A lowered scan against one simulated at the lower dose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctresample.errors import SinogramError, UsageError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.noise import Scanner
from ctresample.pipelines.scan.lower_dose import lower_dose
from ctresample.pipelines.scan.simulate import simulate
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

OPTIONS = {"n_views": 60, "size": 48, "electronic_noise": 5.0, "scanner": Scanner(bow_tie_mm=150.0)}


@pytest.fixture(scope="module")
def volume(phantoms) -> Volume:
    grid = ImageGrid((48, 48), 3.0)
    hu = phantoms.image(grid, [phantoms.disk(1000.0, (5.0, -8.0), 45.0)]) - 1000
    return Volume(np.repeat(hu.astype(np.float32)[None], 3, axis=0), np.diag([3.0, 3.0, 2.0, 1.0]))


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_noise_is_that_of_a_scan_at_this_dose(volume, fraction):
    clean = simulate(volume, n_views=60, size=48).values
    full = simulate(volume, photons=1e5, **OPTIONS)
    low, wanted = lower_dose(full, fraction), simulate(volume, photons=fraction * 1e5, **OPTIONS)
    assert low.photons == pytest.approx(wanted.photons)
    # the variance that the model of the lower dose states, and so do both scans
    exact = replace(wanted, values=clean).sigma()
    n = clean.size
    for scan in (low, wanted):
        whitened = (scan.values - clean) / exact
        assert abs(whitened.mean()) < 5 / n**0.5
        assert whitened.var() == pytest.approx(1, abs=5 * (2 / n) ** 0.5 + 2 / float(wanted.photons.min()))


def test_noise_on_top_is_new(volume):
    """With the seed of the simulation, the added noise must not follow the noise that is there."""
    clean = simulate(volume, n_views=60, size=48).values
    full = simulate(volume, photons=1e5, seed=0, n_views=60, size=48)
    low = lower_dose(full, 0.5, seed=0)
    correlation = np.corrcoef((full.values - clean).ravel(), (low.values - full.values).ravel())[0, 1]
    assert abs(correlation) < 5 / clean.size**0.5
    three = low.values - full.values
    assert not np.array_equal(three[0], three[1])


def test_what_is_said_of_it(volume):
    full = simulate(volume, n_views=6, size=48, photons=1e5, electronic_noise=2.0)
    low = lower_dose(full, 0.25, seed=7)
    assert (low.photons, low.electronic_noise) == (25_000, 2.0)
    assert low.origin.startswith(full.origin)
    for fact in ("lowered to 0.25", "seed 7"):
        assert fact in low.origin
    assert np.array_equal(low.values, lower_dose(full, 0.25, seed=7).values)
    assert not np.array_equal(low.values, lower_dose(full, 0.25, seed=8).values)


def test_what_is_refused():
    grid = ImageGrid((6, 6), 2.0)
    geometry = ParallelBeam.for_grid(grid, 5)
    scan = Sinogram(np.ones((1, *geometry.shape), np.float32), geometry, grid, np.eye(4))
    with pytest.raises(SinogramError, match="states no photons"):
        lower_dose(scan, 0.5)
    with pytest.raises(UsageError, match="fraction is 0"):
        lower_dose(replace(scan, photons=1e5), 0.0)
