"""Observers against closed forms: white and filtered noise, and the sinogram, which no image may beat."""

import math

import numpy as np
import pytest
import torch

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.observers import (
    auc,
    auc_of,
    auc_with_interval,
    hotelling_detectability,
    hotelling_scores,
    ideal_detectability,
    laguerre_gauss,
    matched_detectability,
    matched_scores,
    misfit_score,
)
from ctresample.operators import SparseProjector, Weighted
from ctresample.solvers.cgls import cgls
from ctresample.solvers.fbp import fbp
from ctresample.solvers.wls import wls

N = 24
WIDTH = 8.0


def gauss(scale):
    """A round signal that the first channel is made of."""
    y, x = np.mgrid[:N, :N] - (N - 1) / 2
    return scale * np.exp(-np.pi * (x**2 + y**2) / WIDTH**2)


def filtered(rng, count, response):
    """White noise of deviation 1 through a filter, periodic."""
    white = rng.normal(size=(count, N, N))
    return np.fft.ifft2(np.fft.fft2(white) * response).real


def covariance_of(response):
    """Of the pixels of filtered noise, ``[pixel, pixel]``."""
    row = np.fft.ifft2(np.abs(response) ** 2).real
    k = np.arange(N * N)
    rows, columns = k // N, k % N
    return row[(rows[:, None] - rows) % N, (columns[:, None] - columns) % N]


def ramp():
    """Noise that grows with frequency, as that of filtered back projection does."""
    f = np.fft.fftfreq(N)
    return np.hypot(f[:, None], f) + 0.02


def standard_error(area, n):
    """Hanley and McNeil, Radiology 143(1), 1982."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    return math.sqrt((area * (1 - area) + (n - 1) * (q1 + q2 - 2 * area**2)) / n**2)


def test_channels_are_orthonormal():
    channels = laguerre_gauss((48, 48), width_px=10.0, count=5).reshape(5, -1)
    np.testing.assert_allclose(channels @ channels.T, np.eye(5), atol=1e-6)


@pytest.mark.parametrize("noise", ["white", "filtered"])
def test_observers_reach_their_closed_forms(noise):
    n = 1500
    response = np.ones((N, N)) if noise == "white" else ramp()
    rng = np.random.default_rng(3)
    covariance, channels = covariance_of(response), laguerre_gauss((N, N), width_px=WIDTH, count=6)
    signal = gauss(1.0)
    signal *= 1.4 / matched_detectability(signal, covariance)
    absent, present = filtered(rng, n, response), filtered(rng, n, response) + signal
    wanted = {
        "matched": (
            matched_detectability(signal, covariance),
            matched_scores(present, signal),
            matched_scores(absent, signal),
        ),
        "hotelling": (
            hotelling_detectability(signal, covariance, channels),
            *hotelling_scores(present, absent, channels),
        ),
    }
    ideal = math.sqrt(float(signal.ravel() @ np.linalg.solve(covariance, signal.ravel())))
    for d, *scores in wanted.values():
        assert auc(*scores) == pytest.approx(auc_of(d), abs=3 * standard_error(auc_of(d), n))
        assert d <= ideal * (1 + 1e-9)
    if noise == "white":  # then all of them are ideal for the signal that a channel is made of
        assert wanted["matched"][0] == pytest.approx(ideal)
        assert wanted["hotelling"][0] == pytest.approx(ideal, rel=1e-3)
    else:
        assert wanted["matched"][0] < 0.95 * wanted["hotelling"][0]


def test_no_image_beats_the_ideal_observer_in_the_sinogram():
    """The same noisy scans, with the signal and without, by three methods; the observers know signal and background."""
    n, sigma = 300, 0.02
    grid = ImageGrid((N, N), 4.0)
    scan = ParallelBeam(np.arange(9) * math.pi / 9, 36, 4.0)
    A = SparseProjector(scan, grid)
    signal = torch.from_numpy(gauss(1.0)).float()[None, None]
    W = Weighted(A, torch.tensor(1 / sigma))
    signal *= 1.6 / float(ideal_detectability(signal, W))
    y, x = np.mgrid[:N, :N] - (N - 1) / 2
    body = torch.from_numpy(np.where(np.hypot(x, y) < 10, 0.02, 0.0)).float()[None, None]
    noise = sigma * torch.randn((2 * n, 1, *A.range_shape), generator=torch.Generator().manual_seed(1))
    data = noise + A(torch.cat([body + signal, body]).repeat_interleave(n, 0))
    score = misfit_score(body.expand(2 * n, -1, -1, -1), data / sigma, signal.expand(2 * n, -1, -1, -1), W).numpy()
    ideal = auc_of(1.6)
    error = standard_error(ideal, n)
    assert auc(score[:n], score[n:]) == pytest.approx(ideal, abs=3 * error)
    s = torch.full_like(data, sigma)
    images = {
        "fbp": fbp(data, scan, grid),
        "cgls": cgls(data, A, sigma=s),
        "wls": wls(data, A, sigma=s, max_iterations=40),
    }
    channels = laguerre_gauss((N, N), width_px=WIDTH, count=6)
    found = {}
    for name, one in images.items():
        hu = one[:, 0].numpy()
        present, absent = hu[:n], hu[n:]
        known = (images[name][:n].mean(0) - images[name][n:].mean(0))[0].numpy()
        found[name] = [
            auc(*hotelling_scores(present, absent, channels)),
            auc(*(matched_scores(k, known) for k in (present, absent))),
        ]
    assert all(area < ideal + 3 * error for areas in found.values() for area in areas)
    assert all(areas[0] > 0.6 for areas in found.values())


def test_misfit_of_the_truth_is_normal_and_asks_for_what_is_missing():
    grid = ImageGrid((N, N), 4.0)
    A = SparseProjector(ParallelBeam(np.arange(9) * math.pi / 9, 36, 4.0), grid)
    W = Weighted(A, torch.tensor(50.0))
    signal = torch.from_numpy(gauss(4e-4)).float()[None, None]
    d = float(ideal_detectability(signal, W))
    noise = torch.randn((800, 1, *A.range_shape), generator=torch.Generator().manual_seed(0))
    scores = misfit_score(torch.zeros(800, 1, N, N), noise + W(signal), signal.expand(800, -1, -1, -1), W).numpy()
    assert scores.mean() == pytest.approx(d, abs=0.15)
    assert scores.std() == pytest.approx(1, abs=0.1)


def test_interval_covers_and_clusters_widen_it():
    rng = np.random.default_rng(0)
    areas = [auc_with_interval(rng.normal(1, 1, 60), rng.normal(0, 1, 60), rng) for _ in range(20)]
    assert sum(one.low <= auc_of(1.0) <= one.high for one in areas) >= 16
    patients = np.repeat(np.arange(6), 10)
    shift = np.repeat(rng.normal(0, 2, 6), 10)
    present, absent = rng.normal(1, 1, 60) + shift, rng.normal(0, 1, 60) + shift
    alone = auc_with_interval(present, absent, rng)
    together = auc_with_interval(present, absent, rng, clusters=(patients, patients))
    assert alone.area == together.area
    assert together.low < together.area < together.high


def test_too_few_images_are_refused():
    channels = laguerre_gauss((N, N), width_px=WIDTH)
    with pytest.raises(UsageError, match="10 channels need 24 or more"):
        hotelling_scores(np.zeros((20, N, N)), np.zeros((40, N, N)), channels)
    with pytest.raises(UsageError, match="width -1"):
        laguerre_gauss((N, N), width_px=-1.0)
