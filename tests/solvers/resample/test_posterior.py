"""The sampler against theory: a prior whose denoiser is exact and linear makes every step a Gaussian known exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.resample import ReSampleSettings, resample
from ctresample.testing.posterior import gaussian_posterior
from ctresample.units import MU_WATER_PER_MM, hu_to_mu

GRID = ImageGrid((5, 5), 4.0)
N_DRAWS = 1500
CG = ReSampleSettings(
    n_steps=10,
    pixel_level=1.0,
    latent_level=0.0,
    skip=1,
    inner_steps=0,
    pixel_optimiser="cg",
    encoding="plain",
    cg_iterations=30,
    final="none",
)


class Theory:
    """Latents that are standard normal, ``mu = mean + spread z``, measured in three views."""

    def __init__(self, beam, sigma: float, phantoms, toy_prior) -> None:
        self.prior = toy_prior.GaussianPrior()
        self.spread, self.mean = self.prior.scale_hu * MU_WATER_PER_MM / 1000, hu_to_mu(0.0)
        self.A = SparseProjector(beam.for_grid(GRID, 3), GRID, dtype=torch.float64)
        M = phantoms.matrix_of(self.A)
        self.n = M.shape[1]
        rng = np.random.default_rng(0)
        sigmas = sigma * rng.uniform(0.5, 2, len(M))
        truth = self.mean + self.spread * rng.standard_normal(self.n)
        y = M @ truth + sigmas * rng.standard_normal(len(M))
        self.W, self.v = self.spread * M / sigmas[:, None], (y - self.mean * M.sum(1)) / sigmas  # whitened, of z
        self.y, self.sigma = (phantoms.as_batch(u.reshape(self.A.range_shape), dtype=self.A.dtype) for u in (y, sigmas))

    def posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of the latents given the data."""
        n_values = len(self.W)
        return gaussian_posterior(self.W, self.v, np.ones(n_values), mean=0.0, spread=1.0)

    def chain(self, settings: ReSampleSettings) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of the last clean estimate: the paper's equations, step by step.

        A step at level a, with p next: the exact denoiser has ``z_0 = sqrt(a) z`` and ``epsilon = sqrt(1 - a) z``; the
        data make of that ``P (W' v + sqrt(a) z / s^2)`` with ``P = (W' W + 1 / s^2)^-1``; and resampling weighs it
        against the unconditional step, and adds noise.
        """
        alpha_bar = self.prior.alpha_bar.numpy()
        times = [1 + k * 1000 // settings.n_steps for k in reversed(range(settings.n_steps))]
        levels = [alpha_bar[t] for t in times] + [alpha_bar[0]]
        eye, mean, covariance = np.eye(self.n), np.zeros(self.n), np.eye(self.n)  # of the noisy latents
        for i, (a, p) in enumerate(zip(levels, levels[1:], strict=False)):
            keep, shift = np.sqrt(a) * eye, np.zeros(self.n)  # z_0 = keep z + shift
            step = (np.sqrt(a * p) + np.sqrt((1 - a) * (1 - p))) * eye
            noise = 0.0
            if i % settings.skip == 0:
                s2 = settings.spread_scale**2 * (1 - a)
                P = np.linalg.inv(self.W.T @ self.W + eye / s2)
                keep, shift = P * np.sqrt(a) / s2, P @ self.W.T @ self.v
                variance = settings.variance_scale * (1 - p) * (1 - a / p)
                variance /= a if settings.variance == "published" else 1 - a
                w = 1.0 if settings.resampling == "encoding" else variance / (variance + 1 - p)
                noise = w * (1 - p)
                step = w * np.sqrt(p) * keep + (1 - w) * step
                offset = w * np.sqrt(p) * shift
            else:
                offset = np.zeros(self.n)
            estimate = keep @ mean + shift, keep @ covariance @ keep.T
            mean, covariance = step @ mean + offset, step @ covariance @ step.T + noise * eye
        return estimate

    def draws(self, settings: ReSampleSettings, n_draws: int = N_DRAWS) -> np.ndarray:
        """Latents as the sampler draws them, ``(n_draws, pixels)``."""
        x = resample(
            self.y.expand(n_draws, -1, -1, -1),
            self.A,
            self.prior,
            sigma=self.sigma,
            settings=settings,
            generators=[torch.Generator().manual_seed(k) for k in range(n_draws)],
        )
        return (x.flatten(1).numpy() - self.mean) / self.spread


def surprise(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> tuple[float, float]:
    """Probabilities of so large a deviation in the mean and in the covariance, were they as told."""
    n, d = draws.shape
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, (draws - mean).T).T
    of_mean = n * (white.mean(0) ** 2).sum()
    # entries of a sample covariance are independent, of variance 2/n on the diagonal and 1/n beside it
    of_covariance = n / 2 * ((white.T @ white / n - np.eye(d)) ** 2).sum()
    return stats.chi2(d).sf(of_mean), stats.chi2(d * (d + 1) / 2).sf(of_covariance)


SETTINGS = {
    "encoding": {"resampling": "encoding"},
    "published variance": {"variance_scale": 40.0},
    "small variance": {"variance_scale": 0.3},
    "released variance": {"variance": "released", "variance_scale": 40.0},
    "wider proximal steps": {"spread_scale": 3.0, "variance_scale": 5.0},
    "every third step": {"skip": 3, "variance_scale": 10.0},
}


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS.keys())
def test_mean_and_covariance_are_those_of_theory(changes, phantoms, toy_prior):
    theory, settings = Theory(ParallelBeam, 0.01, phantoms, toy_prior), replace(CG, **changes)
    mean, covariance = theory.chain(settings)
    draws = theory.draws(settings)
    assert min(surprise(draws, mean, covariance)) > 1e-4
    # and that is sharp: a tenth of a standard deviation or a fifth of the covariance off would be seen
    deviation = np.sqrt(np.diag(covariance))
    assert surprise(draws, mean + 0.1 * deviation, covariance)[0] < 1e-6
    assert surprise(draws, mean, 1.2 * covariance)[1] < 1e-6


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
@pytest.mark.parametrize("sigma", [0.003, 0.02])
def test_with_encoding_the_mean_is_the_posterior_mean(beam, sigma, phantoms, toy_prior):
    """If noisy latents have mean sqrt(a) m, with m of the posterior, so have those of the next step: it is kept."""
    theory = Theory(beam, sigma, phantoms, toy_prior)
    settings = replace(CG, resampling="encoding", n_steps=25)
    posterior, covariance = theory.posterior()
    mean, of_draws = theory.chain(settings)
    assert np.abs(mean - posterior).max() < 0.02 * np.sqrt(np.diag(covariance)).max()
    draws = theory.draws(settings, 400)
    assert surprise(draws, mean, of_draws)[0] > 1e-4
    for other in (np.zeros(theory.n), theory.prior.scale_hu * np.ones(theory.n)):
        assert surprise(draws, other, of_draws)[0] < 1e-6


def test_the_chain_varies_less_than_the_posterior(phantoms, toy_prior):
    """It goes on from the mean given the data, not from a draw; where there are no data from half the variance.

    With small steps at one level a, encoding has ``V = a^2 V + 1 - a``, so that V is 1 / (1 + a): near 1/2 at the end.
    """
    theory = Theory(ParallelBeam, 1e6, phantoms, toy_prior)
    settings = replace(CG, resampling="encoding", n_steps=999)
    _, covariance = theory.chain(settings)
    assert np.diag(covariance) == pytest.approx(0.5, abs=0.01)
    seen = Theory(ParallelBeam, 0.01, phantoms, toy_prior)
    _, posterior = seen.posterior()
    _, covariance = seen.chain(settings)
    assert np.linalg.eigvalsh(posterior - covariance).min() > 0


def test_without_data_small_steps_draw_from_the_prior(phantoms, toy_prior):
    """DDIM with an exact denoiser maps the noise to latents of the same law."""
    theory = Theory(ParallelBeam, 0.01, phantoms, toy_prior)
    settings = replace(CG, n_steps=200, pixel_level=0.0, latent_level=0.0)
    draws = theory.draws(settings, 400)
    n = draws.size
    assert abs(draws.mean()) * n**0.5 < 4
    assert draws.var() == pytest.approx(1, abs=4 * (2 / n) ** 0.5 + 0.01)
