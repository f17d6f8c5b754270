"""Training a coarse denoiser: it learns, and the prior is otherwise as it was."""

from dataclasses import replace

import pytest
import torch

from ctresample.errors import UsageError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.training.coarse import coarse_objective, noisier_end, train_coarse
from ctresample.pipelines.training.coarse_settings import CoarseSettings
from ctresample.pipelines.training.finetune import finetune, finetune_objective
from ctresample.pipelines.training.prior_settings import FinetuneSettings
from ctresample.pipelines.training.settings import RunSettings

SETTINGS = CoarseSettings(
    run=RunSettings(steps=60, batch_size=8, validate_every=20, warmup_steps=5, ema_decay=0.8, learning_rate=2e-3),
    blocks=4,
    channels=(16, 32),
    from_step=600,
    pool=32,
)


@pytest.fixture(scope="module")
def old(toy):
    return toy[0] / "diffusion" / "prior"


@pytest.fixture(scope="module")
def trained(old, disks, tmp_path_factory):
    """Folder of the run, the prior that came of it, and what it told on the way."""
    folder, told = tmp_path_factory.mktemp("coarse"), []
    made = train_coarse(
        old, disks(6, 3, 0), disks(2, 2, 1), folder, SETTINGS, on_step=lambda *seen: told.append(seen[2])
    )
    return folder, made, [seen for seen in told if seen]


def test_training_reduces_the_error(trained, old, disks):
    folder, _, figures = trained
    untrained = coarse_objective(old, disks(6, 3, 0), disks(2, 2, 1), SETTINGS).validate()["loss"]
    assert figures[-1]["loss"] < 0.6 * untrained
    assert (folder / "pictures" / "samples-000060.png").is_file()


def test_estimates_of_the_noisiest_steps_are_better_than_a_guess(trained, disks):
    _, prior, _ = trained
    with torch.no_grad():
        z_0 = prior.encode(disks(8, 4, 7).whole(64))
    z_0, t = z_0[:, :, :16, :16], 700
    alpha_bar = float(prior.alpha_bar[t])
    noise = torch.randn(z_0.shape, generator=torch.Generator().manual_seed(0))
    estimate, _ = prior.predict(alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * noise, t)
    assert (estimate - z_0).square().mean() < 0.7 * (z_0.mean((0, 2, 3), keepdim=True) - z_0).square().mean()


def test_the_rest_of_the_prior_stays(trained, old):
    folder, made, _ = trained
    loaded, before = LatentPrior.from_pretrained(folder / "prior"), LatentPrior.from_pretrained(old)
    assert loaded.config == made.config
    assert (
        replace(
            loaded.config,
            coarse_from_step=None,
            denoising_rmse_hu=before.config.denoising_rmse_hu,
            provenance=before.config.provenance,
        )
        == before.config
    )
    z_t = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.alpha_bar[:600], before.alpha_bar[:600])
    assert all(map(torch.equal, loaded.predict(z_t, 599), before.predict(z_t, 599)))
    assert made.config.provenance["coarse_data_digest"] == "digest0"
    assert all(made.spread_hu(t) == before.spread_hu(t) for t in range(400))
    noisy = float(before.alpha_bar[600])
    assert {e for a, e in made.config.denoising_rmse_hu if a < noisy}.isdisjoint(
        e for _, e in before.config.denoising_rmse_hu
    )


def test_batches_are_always_the_same(old, disks):
    objectives = [coarse_objective(old, disks(4, 2, 0), disks(2, 2, 1), SETTINGS) for _ in range(2)]
    one, two = next(objectives[0].batches(40, 0)), next(objectives[1].batches(40, 0))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert one["z_0"].shape == (8, 4, 4, 4)


def test_levels_cover_the_steps_and_larger_slices(old, disks):
    """Blocks of 4 x 4 latents have a quarter of the noise; three times less is for larger slices."""
    objective = coarse_objective(old, disks(4, 2, 0), disks(2, 2, 1), SETTINGS)
    drawn = torch.cat([next(objective.batches(k, 0))["alpha_bar"] for k in range(60)])
    spread = ((1 - drawn) / drawn).sqrt()
    first = float(objective.prior.alpha_bar[600])
    least = ((1 - first) / first) ** 0.5 / 4 / 3
    assert least * 0.999 < float(spread.min()) < 1.2 * least
    assert 150 < float(spread.max()) < 250.1


def test_finetuning_keeps_it_and_leaves_its_steps_alone(trained, disks, tmp_path):
    slices = disks(4, 2, 5)
    run = RunSettings(steps=2, batch_size=16, validate_every=2, pictures_every=0)
    settings = FinetuneSettings(run=run, pool=16, low_noise_bias=1.0)
    objective = finetune_objective(trained[0] / "prior", slices, slices, settings)
    steps = torch.cat([next(objective.batches(k, 0))["t"] for k in range(20)])
    assert 560 < int(steps.max()) < 600
    tuned = finetune(trained[0] / "prior", slices, slices, tmp_path, settings)
    loaded = LatentPrior.from_pretrained(tmp_path / "prior")
    z_t = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    assert tuned.config.coarse_from_step == loaded.config.coarse_from_step == 600
    torch.testing.assert_close(loaded.predict(z_t, 900)[0], trained[1].predict(z_t, 900)[0], rtol=0.02, atol=0.02)


def test_noisier_end(toy_prior):
    old = toy_prior.scheduler("v_prediction")
    new = noisier_end(old, 700, 1000.0)
    assert torch.equal(new.betas[:700], old.betas[:700])
    assert torch.equal(new.alphas_cumprod[:700], old.alphas_cumprod[:700])
    spread = ((1 - new.alphas_cumprod.double()) / new.alphas_cumprod.double()).sqrt()
    steps = spread[700:].log().diff()
    assert float(steps.min()) == pytest.approx(float(steps.max()), rel=0.01)
    assert float(spread[-1]) == pytest.approx(1000, rel=1e-3)
    assert float(new.alphas_cumprod[700]) == pytest.approx(float(old.alphas_cumprod[700]), rel=1e-4)
    assert new.config["prediction_type"] == "v_prediction"


@pytest.mark.parametrize("noisiest", [3.0, float("inf"), float("nan")])
def test_end_must_be_noisier(toy_prior, noisiest):
    with pytest.raises(UsageError, match="expected more than the 7"):
        noisier_end(toy_prior.scheduler("epsilon"), 700, noisiest)


def test_step_that_the_schedule_lacks(old, disks):
    with pytest.raises(UsageError, match="has 1000 steps"):
        coarse_objective(old, disks(2, 2, 0), disks(2, 2, 1), replace(SETTINGS, from_step=1000))


@pytest.mark.parametrize("changes", [{"blocks": 6, "channels": (8, 8, 8)}, {"channels": ()}, {"blocks": 0}])
def test_blocks_that_cannot_be_halved(changes):
    with pytest.raises(UsageError, match="a number of blocks that can be halved"):
        replace(SETTINGS, **changes)


@pytest.mark.parametrize("changes", [{"pool": 1}, {"low_noise_bias": 0.0}, {"from_step": 0}])
def test_settings_out_of_range(changes):
    with pytest.raises(UsageError, match="expected a pool of 2 or more"):
        replace(SETTINGS, **changes)


def test_a_denoiser_of_scans_stays(disks, toy_prior, tmp_path):
    plain, knowing = toy_prior.random_prior(), toy_prior.random_prior(condition_spread=0.3)
    both = LatentPrior(plain.vae, plain.unet, plain.scheduler, knowing.config, scan_unet=knowing.unet)
    both.save_pretrained(tmp_path)
    objective = coarse_objective(tmp_path, disks(2, 1, 0), disks(1, 1, 1), SETTINGS)
    kept = LatentPrior.from_pretrained(tmp_path).scan_unet
    assert all(map(torch.equal, objective.prior.scan_unet.parameters(), kept.parameters()))
