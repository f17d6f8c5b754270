"""Faulty bins: the same error in every view, on so many bins and of such a size as asked for."""

import numpy as np
import pytest

from ctresample.noise import Scanner, gain_errors
from ctresample.pipelines.scan.simulate import simulate
from ctresample.volume import Volume


def test_share_and_spread_are_as_asked_for():
    errors = gain_errors(100_000, share=0.25, spread=0.3, generator=np.random.default_rng(0))
    faulty = errors[errors != 0]
    assert len(faulty) == 25_000
    assert faulty.std() == pytest.approx(0.3, rel=0.02)
    assert abs(faulty.mean()) < 0.01
    assert not gain_errors(10, share=0.09, spread=1, generator=np.random.default_rng(0)).any()


@pytest.mark.parametrize("photons", [None, 1e5])
def test_a_scan_differs_by_one_pattern_in_all_views_and_slices(photons):
    y, x = np.mgrid[:32, :32] - 15.5
    hu = np.where(np.hypot(x, y) < 10, 0.0, -1000.0).astype(np.float32)
    volume = Volume(np.stack([hu, hu]), np.diag([8.0, 8.0, 2.0, 1.0]))
    scanner = Scanner(faulty_bins=0.2, gain_error=0.25)
    sound = simulate(volume, n_views=7, size=16, photons=photons, seed=3)
    faulty = simulate(volume, n_views=7, size=16, photons=photons, seed=3, scanner=scanner)
    difference = faulty.values - sound.values
    pattern = difference[0, 0]
    np.testing.assert_allclose(difference, np.broadcast_to(pattern, difference.shape), atol=1e-5)
    n_faulty = int(0.2 * len(pattern))
    assert np.count_nonzero(np.abs(pattern) > 1e-4) == n_faulty
    assert 0.05 < np.std(pattern[np.abs(pattern) > 1e-4]) / sound.values.std() < 0.6  # of five draws or so
    assert "0.2 of the bins wrong" in faulty.origin
    other = simulate(volume, n_views=7, size=16, photons=photons, seed=4, scanner=scanner)
    assert not np.allclose(other.values, faulty.values, atol=1e-3)
