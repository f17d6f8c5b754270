"""Velocities around an image, and priors that take one as their condition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import PriorError
from ctresample.learned.conditioning import estimate_around, velocity_around, with_condition
from ctresample.learned.latent_prior import LatentPrior


def drawn(n: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64) for _ in range(n)]


@given(alpha_bar=st.floats(0, 0.9999), spread=st.floats(0.01, 1))
def test_estimate_and_velocity_are_inverse(alpha_bar, spread):
    z_t, mean, z_0 = drawn(3)
    velocity = velocity_around(z_t, mean, *(torch.tensor(v, dtype=torch.float64) for v in (spread, alpha_bar)), z_0)
    torch.testing.assert_close(estimate_around(z_t, mean, spread, alpha_bar, velocity), z_0, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("alpha_bar", [0.02, 0.5, 0.98])
def test_nothing_known_beforehand_is_the_plain_velocity(alpha_bar):
    z_0, noise = drawn(2)
    a, s = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    found = velocity_around(a * z_0 + s * noise, 0 * z_0, torch.tensor(1.0), torch.tensor(alpha_bar).double(), z_0)
    torch.testing.assert_close(found, a * noise - s * z_0, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alpha_bar", [0.0, 0.3, 0.99])
def test_no_velocity_is_the_best_guess_and_targets_have_unit_variance(alpha_bar):
    """Of latents that are normal around the condition: the estimate without a network is their posterior mean."""
    generator, spread = torch.Generator().manual_seed(1), 0.3
    mean, error, noise = torch.randn(3, 200000, generator=generator, dtype=torch.float64)
    z_0 = mean + spread * error
    z_t = alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * noise
    target = velocity_around(z_t, mean, torch.tensor(spread), torch.tensor(alpha_bar).double(), z_0)
    assert float(target.square().mean()) == pytest.approx(1, abs=0.02)
    guess = estimate_around(z_t, mean, spread, alpha_bar, torch.zeros_like(z_t))
    known = torch.stack([z_t - alpha_bar**0.5 * mean, mean])
    assert ((z_0 - guess) @ known.T / len(z_0)).abs().max() < 0.01  # nothing left to learn from what is known


def test_a_widened_network_is_the_same_at_first(toy_prior):
    plain = toy_prior.random_prior()
    wider = toy_prior.random_prior(condition_spread=0.3)
    z, condition = (v[:, :1].expand(-1, toy_prior.CHANNELS, -1, -1).float() for v in drawn(2))
    torch.testing.assert_close(wider.predict(z, 300), plain.predict(z, 300))
    z_0, epsilon = wider.predict(z, 300, condition)
    a = float(wider.alpha_bar[300])
    torch.testing.assert_close(a**0.5 * z_0 + (1 - a) ** 0.5 * epsilon, z)
    assert (z_0 - condition).abs().mean() < (plain.predict(z, 300)[0] - condition).abs().mean()
    assert wider.estimate(condition).shape == condition.shape


def test_saved_and_loaded(tmp_path, toy_prior):
    prior = toy_prior.random_prior(condition_spread=0.3)
    with torch.no_grad():
        prior.unet.conv_in.weight.normal_(generator=torch.Generator().manual_seed(0))
    prior.save_pretrained(tmp_path)
    loaded = LatentPrior.from_pretrained(tmp_path)
    assert loaded.is_conditioned
    assert loaded.config.condition_spread == 0.3
    condition = drawn(1)[0][:, :1].expand(-1, toy_prior.CHANNELS, -1, -1).float()
    torch.testing.assert_close(loaded.estimate(condition), prior.estimate(condition), rtol=0.02, atol=0.02)


def test_a_prior_without_condition_refuses_one(toy_prior):
    prior = toy_prior.random_prior()
    z = torch.zeros(1, toy_prior.CHANNELS, 4, 4)
    for ask in (lambda: prior.predict(z, 10, z), lambda: prior.estimate(z)):
        with pytest.raises(PriorError, match="toy takes no condition; use one that was trained on scans"):
            ask()


@pytest.mark.parametrize("stated", [None, 0.3])
def test_channels_and_config_must_agree(toy_prior, stated):
    prior = toy_prior.random_prior()
    unet = prior.unet if stated else with_condition(prior.unet)
    with pytest.raises(PriorError, match="the denoiser takes . channels and gives 4; expected"):
        LatentPrior(prior.vae, unet, prior.scheduler, toy_prior.config(condition_spread=stated))


@pytest.mark.parametrize("spread", [0, -1, "nan", "wide"])
def test_a_spread_that_cannot_be_is_refused(tmp_path, toy_prior, spread):
    toy_prior.random_prior(condition_spread=0.3).save_pretrained(tmp_path)
    path = tmp_path / "prior.json"
    path.write_text(path.read_text().replace('"condition_spread": 0.3', f'"condition_spread": "{spread}"'))
    with pytest.raises(PriorError, match=r"prior\.json cannot be used"):
        LatentPrior.from_pretrained(tmp_path)
