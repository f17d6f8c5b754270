"""Fine-tuning: the result is an ordinary prior, better on the new slices; the rest of the prior stays."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel

import ctresample.pipelines.training.lora as lora
from ctresample.errors import PriorError, UsageError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.training.condition_settings import ConditionSettings
from ctresample.pipelines.training.diffusion_objective import FAST_STEPS
from ctresample.pipelines.training.finetune import finetune, finetune_objective
from ctresample.pipelines.training.prior import prior_objective
from ctresample.pipelines.training.prior_settings import FinetuneSettings
from ctresample.pipelines.training.settings import RunSettings

RUN = RunSettings(steps=40, batch_size=4, validate_every=10, warmup_steps=2, learning_rate=1e-3, ema_decay=0.5)


def dense(slices):
    """Slices unlike those that the old prior knows: bone in place of soft tissue."""
    return replace(slices, hu=np.where(slices.hu > 0, 900, slices.hu).astype(np.int16))


@pytest.fixture(scope="module")
def old(toy):
    return toy[0] / "diffusion" / "prior"


@pytest.mark.parametrize("rank", [0, 2])
def test_finetuned_prior_is_an_ordinary_prior(tmp_path, disks, old, rank):
    slices, held_out = dense(disks(4, 2, 5)), dense(disks(2, 2, 6))
    settings = FinetuneSettings(run=RUN, pool=16, lora_rank=rank, provenance={"licence": "CC0"})
    before = finetune_objective(old, slices, held_out, replace(settings, lora_rank=0)).validate()
    new = finetune(old, slices, held_out, tmp_path, settings)
    loaded, first = LatentPrior.from_pretrained(tmp_path / "prior"), LatentPrior.from_pretrained(old)
    assert type(loaded.unet) is UNet2DModel
    assert loaded.unet.state_dict().keys() == first.unet.state_dict().keys()
    for name, value in new.unet.state_dict().items():
        torch.testing.assert_close(loaded.unet.state_dict()[name], value, rtol=2e-3, atol=1e-4)
    after = finetune_objective(tmp_path / "prior", slices, held_out, replace(settings, lora_rank=0)).validate()
    # not the loss: it weighs the lowest noise, whose error so short a training hardly moves
    assert after["hu_mid_noise"] < 0.98 * before["hu_mid_noise"]
    same = ("hu_range", "image_size", "patch_size", "latent_mean", "latent_std")
    assert [getattr(loaded.config, n) for n in same] == [getattr(first.config, n) for n in same]
    assert loaded.config.name == "toy-finetuned"
    assert loaded.config.provenance["finetuned_from"] == "toy"
    assert loaded.config.provenance["licence"] == "CC0"
    assert loaded.config.provenance["data_digest"] == "digest5"


def test_low_rank_updates_are_few_and_start_at_nothing(disks, old):
    slices = disks(2, 2, 5)
    full, low = (
        finetune_objective(old, slices, slices, FinetuneSettings(run=RUN, pool=4, lora_rank=rank)) for rank in (0, 1)
    )
    n_full, n_low = (
        sum(p.numel() for p in objective.network.parameters() if p.requires_grad) for objective in (full, low)
    )
    assert n_low < 0.2 * n_full
    assert low.validate() == pytest.approx(full.validate(), rel=1e-4)


def test_peft_missing(monkeypatch, disks, old):
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'ctresample\[train\]'"):
        finetune_objective(old, disks(2, 2, 5), disks(2, 2, 6), FinetuneSettings(run=RUN, lora_rank=2))


def test_prior_starts_from_another(toy, disks, old, prior_settings):
    slices, notes = disks(2, 2, 0), []
    settings = replace(prior_settings, start_from=str(old), pool=4)
    same = prior_objective(slices, slices, toy[0], settings, notes.append)
    expected = LatentPrior.from_pretrained(old).unet.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in same.network.state_dict().items())
    wider = prior_objective(slices, slices, toy[0], replace(settings, channels=(16, 48)), notes.append)
    own = wider.network.state_dict()
    assert torch.equal(own["conv_in.weight"], expected["conv_in.weight"])
    n = len(own)
    assert f"{n} of {n} weight arrays" in notes[0]
    assert f"of {n} weight arrays" in notes[1]
    assert f"{n} of {n} weight arrays" not in notes[1]


def test_start_from_no_prior(toy, disks, tmp_path, prior_settings):
    slices = disks(2, 2, 0)
    settings = replace(prior_settings, start_from=str(tmp_path / "nowhere"), pool=4)
    with pytest.raises(PriorError, match="nowhere"):
        prior_objective(slices, slices, toy[0], settings)


@pytest.mark.parametrize("scaling", [("channel", 1.0), ("power", 0.0), ("power", 0.5)])
def test_latent_scaling_of_a_prior(toy, disks, prior_settings, scaling):
    slices = disks(4, 2, 0)
    run = replace(prior_settings.run, batch_size=64)
    settings = replace(prior_settings, run=run, latent_scaling=scaling[0], latent_scaling_exponent=scaling[1])
    objective = prior_objective(slices, slices, toy[0], settings)
    z = torch.cat([next(objective.batches(k, 0))["z_0"] for k in range(12)])
    assert float(z.var((0, 2, 3)).mean()) == pytest.approx(1, rel=0.1)
    spread = z.std((0, 2, 3))
    if scaling[1] == 1:
        torch.testing.assert_close(spread, torch.ones(4), rtol=0.1, atol=0)
    else:
        assert float(spread.max() / spread.min()) > 1.1


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_predictions_learn(toy, disks, prior_settings, prediction_type):
    slices = disks(4, 2, 0)
    settings = replace(prior_settings, prediction_type=prediction_type, min_snr_gamma=5.0)
    objective = prior_objective(slices, slices, toy[0], settings)
    assert objective.prior.scheduler.config["prediction_type"] == prediction_type
    optimiser, batches = torch.optim.Adam(objective.network.parameters(), 2e-3), objective.batches(0, 0)
    before = objective.validate()["loss"]
    for _ in range(10):
        optimiser.zero_grad()
        objective(next(batches)).backward()
        optimiser.step()
    assert objective.validate()["loss"] < before


def test_steps_where_fast_samples(disks, old):
    slices = disks(2, 2, 5)

    def drawn(share):
        settings = FinetuneSettings(run=replace(RUN, batch_size=16), pool=4, low_noise_bias=1.0, fast_share=share)
        objective = finetune_objective(old, slices, slices, settings)
        return torch.cat([next(objective.batches(k, 0))["t"] for k in range(20)])

    low, high = FAST_STEPS
    every, half, only = ((drawn(share) >= low) & (drawn(share) < high) for share in (0.0, 0.5, 1.0))
    assert only.all() and every.float().mean() < 0.2 < half.float().mean() < 0.8
    assert abs(float((drawn(1.0) < (low * high) ** 0.5).float().mean()) - 0.5) < 0.1  # evenly in the logarithm
    with pytest.raises(UsageError, match="fast_share is 1.5"):
        FinetuneSettings(run=RUN, fast_share=1.5)


def test_four_slices_in_one_image(disks, old):
    """They are drawn, encoded and validated at half the size; without them figures are those of before."""
    slices = disks(2, 2, 5)
    settings = FinetuneSettings(run=RUN, pool=4)
    plain = finetune_objective(old, slices, slices, settings).validate()
    objective = finetune_objective(old, slices, slices, replace(settings, four_share=1.0))
    figures = objective.validate()
    assert {name: figures[name] for name in plain if name != "loss"} == {n: v for n, v in plain.items() if n != "loss"}
    assert figures["loss"] == figures["loss_coarse"] != plain["loss"]
    z = next(objective.batches(0, 0))["z_0"]
    size = objective.prior.config.image_size
    image = objective.prior.decode(z[:1])[0, 0]
    middle, quarter = image[size // 2 - 2 : size // 2 + 2].mean(), image[size // 4 - 2 : size // 4 + 2].mean()
    assert middle < quarter - 100  # air lies between slices
    with pytest.raises(UsageError, match="four_share is -1"):
        FinetuneSettings(run=RUN, four_share=-1)
    with pytest.raises(UsageError, match="four_share is 0.5, but a denoiser with a condition"):
        FinetuneSettings(run=RUN, four_share=0.5, condition=ConditionSettings())
