"""What the studies of trust measure with, on cases with a known answer."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "quality"))

import posterior
import stability

N_SAMPLES, N_PAIRS, SIDE2 = 19, 1500, 16


def of_a_normal_posterior(truths_per_sample: float, shift: float = 0.0) -> np.ndarray:
    """Shares of pairs whose truth is normal around what is known of it, and whose samples are so many times as wide."""
    generator = np.random.default_rng(0)
    known, noise = generator.normal(0, 3, (N_PAIRS, SIDE2)), generator.normal(size=(N_SAMPLES + 1, N_PAIRS, SIDE2))
    samples = known + truths_per_sample * noise[1:] + shift
    reference = known + generator.normal(0, 2, known.shape)
    return posterior.fractions(samples, known + noise[0], reference)


def test_tarp_of_a_known_posterior():
    """Samples of the posterior itself stay within what chance allows; narrow, wide and shifted ones do not."""
    by_chance = 1.63 / N_PAIRS**0.5  # exceeded once in a hundred
    assert posterior.departure(of_a_normal_posterior(1.0)) < by_chance
    for wrong in ((0.5, 0.0), (2.0, 0.0), (1.0, 1.0)):
        assert posterior.departure(of_a_normal_posterior(*wrong)) > 2 * by_chance


def test_spread_samples_and_errors_of_others():
    generator = np.random.default_rng(0)
    patient = np.repeat(np.arange(10), 60)
    width, noise = generator.uniform(1, 5, (600, SIDE2)), generator.normal(size=(6, 600, SIDE2))
    centre = generator.normal(0, 20, width.shape)
    narrow, truth = centre + 0.1 * width * noise[:5], centre + width * noise[5]
    reference = centre + generator.normal(0, 3, width.shape)
    own = posterior.Patches(narrow, truth, reference, width, patient)
    np.testing.assert_allclose(np.std(posterior.spread(narrow, 4.0), axis=0), 4 * np.std(narrow, axis=0))
    by_errors = posterior.fractions(posterior.with_errors_of(own, own, same=True), truth, reference)
    assert posterior.departure(by_errors) < 1.63 / 600**0.5
    assert posterior.departure(posterior.fractions(narrow, truth, reference)) > 0.15


def test_patches_lie_inside():
    body = np.zeros((40, 40), bool)
    body[5:37, 2:38] = True
    found = posterior.places(body, np.random.default_rng(0))
    assert len(found) >= 2
    assert all(body[r : r + posterior.SIDE, c : c + posterior.SIDE].all() for r, c in found)
    only = np.zeros((20, 20), bool)
    only[3 : 3 + posterior.SIDE, 7 : 7 + posterior.SIDE] = True
    assert posterior.places(only, np.random.default_rng(0)) == [(3, 7)]


def test_the_direction_that_changes_an_image_most():
    """Of a linear method it is the first singular vector of its matrix after whitening."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(30, 12, generator=generator, dtype=torch.float64)
    matrix += 8 * torch.outer(torch.randn(30, generator=generator), torch.randn(12, generator=generator)) / 12
    sigma = torch.rand(1, 1, 3, 4, generator=generator, dtype=torch.float64) + 0.5
    _, gains, directions = torch.linalg.svd(matrix * sigma.flatten())

    def images(y: torch.Tensor) -> torch.Tensor:
        return y.flatten(1) @ matrix.T

    y = torch.zeros(1, 1, 3, 4, dtype=torch.float64)
    found = stability.adversarial(images, y, sigma)
    assert (found / sigma).square().mean().sqrt() == pytest.approx(stability.SIZE)
    largest = stability.SIZE * 12**0.5 * gains[0]
    assert images(found).norm() == pytest.approx(float(largest), rel=0.03)
    # of changes that span a part only, the best of that part
    units = torch.eye(12, dtype=torch.float64)[:5].view(5, 1, 3, 4)
    changes = sigma * units * stability.SIZE * 12**0.5
    best = stability.strongest(changes, images(changes), sigma)
    _, of_part, _ = torch.linalg.svd((matrix * sigma.flatten())[:, :5])
    assert images(best).norm() == pytest.approx(float(stability.SIZE * 12**0.5 * of_part[0]), rel=1e-6)
