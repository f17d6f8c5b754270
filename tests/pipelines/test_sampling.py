"""Drawing from a prior: right where the distribution is known, and the same however many are drawn."""

import pytest
import torch

from ctresample.pipelines.model_card.samples import draw_samples
from ctresample.pipelines.sampling import ancestral


def generators(n):
    return [torch.Generator().manual_seed(k) for k in range(n)]


def test_samples_of_a_gaussian_prior_are_standard_normal(toy_prior):
    """Its denoiser is exact, so that small steps give its own distribution, pixel by pixel independent."""
    prior = toy_prior.GaussianPrior()
    prior.device = torch.device("cpu")
    z = ancestral(prior, (1, 64, 64), range(999, -1, -1), generators(4))
    assert float(z.mean()) == pytest.approx(0, abs=0.02)
    assert float(z.std()) == pytest.approx(1, abs=0.02)
    assert abs(float((z[..., 1:] * z[..., :-1]).mean())) < 0.02


def test_a_sample_does_not_depend_on_its_neighbours(toy_prior):
    prior = toy_prior.random_prior()
    few, many = (draw_samples(prior, n, size=16, steps=5, seed=3) for n in (2, 9))
    assert torch.allclose(few, many[:2], atol=1e-2)
    assert not torch.allclose(many[0], many[8], atol=1)
    assert not torch.allclose(few, draw_samples(prior, 2, size=16, steps=5, seed=4), atol=1)
