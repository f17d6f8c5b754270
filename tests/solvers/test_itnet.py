"""Rounds of network and data: what the data say holds whatever the network says."""

from __future__ import annotations

import pytest
import torch

from ctresample.consistency import residual_ratio
from ctresample.errors import PriorError, UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.coarse_tv import coarse_tv
from ctresample.solvers.itnet import ItNetSettings, itnet
from ctresample.units import MU_WATER_PER_MM, hu_to_mu, mu_to_hu

GRID = ImageGrid((32, 32), 8.0)


def scan(beam, sigma=0.02):
    A = SparseProjector(beam.for_grid(GRID, 12), GRID)
    x, y = torch.tensor(GRID.x_mm), torch.tensor(GRID.y_mm)
    disks = [MU_WATER_PER_MM * ((x - 8 * k) ** 2 + y[:, None] ** 2 < 80**2).float() for k in range(2)]
    truth = torch.stack(disks)[:, None]
    sigmas = torch.full((2, 1, *A.range_shape), sigma)
    noise = torch.randn(sigmas.shape, generator=torch.Generator().manual_seed(0))
    return A, truth, A(truth) + sigmas * noise, sigmas


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
def test_an_untrained_network_cannot_lead_away_from_the_data(beam, toy_prior):
    A, _, y, sigma = scan(beam)
    told, prior = [], toy_prior.random_prior(condition_spread=0.3)
    found = itnet(
        y,
        A,
        prior,
        sigma=sigma,
        settings=ItNetSettings(rounds=2, cg_iterations=40),
        start=coarse_tv(y, A, sigma=sigma),
        mu_water_per_mm=MU_WATER_PER_MM,
        callback=lambda status: told.append((status.step, status.n_steps, status.residual_ratio)),
    )
    ratio = residual_ratio((A(found) - y) / sigma)
    led = hu_to_mu(prior.decode(prior.estimate(prior.encode(mu_to_hu(found, MU_WATER_PER_MM)))), MU_WATER_PER_MM)
    assert (ratio < 0.1 * residual_ratio((A(led) - y) / sigma)).all()
    assert [one[:2] for one in told] == [(1, 2), (2, 2)]
    assert told[-1][2] == pytest.approx(float(ratio.mean()), rel=1e-4)


def test_a_slice_alone_is_as_in_a_batch(toy_prior):
    A, _, y, sigma = scan(ParallelBeam)
    prior = toy_prior.random_prior(condition_spread=0.3)
    start = coarse_tv(y, A, sigma=sigma)
    both, alone = (
        itnet(
            y[k], A, prior, sigma=sigma[k], settings=ItNetSettings(2), start=start[k], mu_water_per_mm=MU_WATER_PER_MM
        )
        for k in (slice(None), slice(1))
    )
    torch.testing.assert_close(both[:1], alone, rtol=1e-3, atol=1e-5)


def test_a_prior_without_condition_is_refused(toy_prior):
    A, truth, y, sigma = scan(ParallelBeam)
    with pytest.raises(PriorError, match="takes no condition"):
        itnet(
            y,
            A,
            toy_prior.random_prior(),
            sigma=sigma,
            settings=ItNetSettings(),
            start=truth,
            mu_water_per_mm=MU_WATER_PER_MM,
        )


@pytest.mark.parametrize("change", [{"rounds": 0}, {"spread_scale": 0.0}, {"cg_iterations": 0}], ids=str)
def test_settings(change):
    with pytest.raises(UsageError, match="itnet settings"):
        ItNetSettings(**change)
