"""A prior conditioned on scans: its examples, its training, and what stays as it was."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
import torch

from ctresample.errors import PriorError, UsageError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.training.condition_settings import ConditionSettings
from ctresample.pipelines.training.conditioned_objective import examples, made_conditioned
from ctresample.pipelines.training.finetune import finetune, finetune_objective
from ctresample.pipelines.training.optimisation import Optimisation
from ctresample.pipelines.training.prior import prior_objective
from ctresample.pipelines.training.prior_settings import FinetuneSettings
from ctresample.pipelines.training.scanned import drawn_scan
from ctresample.pipelines.training.settings import RunSettings

SCANS = ConditionSettings(n_views=(6, 20), rounds=1)
RUN = RunSettings(steps=16, batch_size=4, validate_every=8, warmup_steps=2, learning_rate=2e-3, ema_decay=0.5)
SETTINGS = FinetuneSettings(run=RUN, pool=8, condition=SCANS)


@pytest.fixture(scope="module")
def old(toy):
    return toy[0] / "diffusion" / "prior"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, disks, old):
    folder = tmp_path_factory.mktemp("conditioned")
    return folder, finetune(old, disks(6, 3, 5), disks(2, 2, 6), folder, SETTINGS)


def test_training_learns_what_the_condition_tells(disks, old):
    objective = finetune_objective(old, disks(6, 3, 5), disks(2, 2, 6), replace(SETTINGS, pool=64))
    seen = list(islice(objective.batches(0, 0), 12))

    def loss():
        with torch.no_grad():
            return sum(float(objective(batch)) for batch in seen)

    run = Optimisation(objective, replace(RUN, steps=60, batch_size=8))
    batches, before = run.batches(), loss()
    for _ in range(60):
        run.step(batches)
    assert loss() < 0.95 * before


def test_the_result_is_a_conditioned_prior_that_says_of_what(trained, disks):
    folder, _ = trained
    loaded = LatentPrior.from_pretrained(folder / "prior")
    assert loaded.is_conditioned
    assert loaded.config.provenance["condition"]["n_views"] == [6, 20]
    # it is trained on as what it is, though the settings say nothing of a condition
    again = finetune_objective(folder / "prior", disks(3, 3, 7), disks(2, 2, 6), FinetuneSettings(run=RUN, pool=8))
    assert again.settings.condition is not None
    assert {"loss", "unconditional_loss", "rmse_hu_25_views", "rmse_hu_fan"} < set(again.validate())


def test_a_denoiser_that_always_has_a_condition_leaves_the_other_as_it_was(tmp_path, trained, disks, old):
    """So that methods without condition lose nothing."""
    run, slices = replace(RUN, steps=8), (disks(6, 3, 5), disks(2, 2, 6))
    always = replace(SETTINGS, run=run, condition=replace(SCANS, dropout=0.0))
    finetune(old, *slices, tmp_path / "first", always)
    before, first = (LatentPrior.from_pretrained(folder) for folder in (old, tmp_path / "first" / "prior"))
    z = torch.randn(1, len(before.config.latent_mean), 8, 8)
    assert first.is_conditioned and first.scan_unet is not None
    assert torch.equal(first.predict(z, 20)[0], before.predict(z, 20)[0])
    assert first.config.denoising_rmse_hu == before.config.denoising_rmse_hu
    for condition, changed in ((always.condition, "scan_unet"), (None, "unet")):  # on with one, then with the other
        new = finetune(
            tmp_path / "first" / "prior",
            *slices,
            tmp_path / changed,
            FinetuneSettings(run=run, pool=8, condition=condition),
        )
        for name in ("unet", "scan_unet"):
            was, now = (getattr(prior, name).conv_in.weight for prior in (first, new))
            assert torch.equal(was, now) == (name != changed), (name, changed)


def test_a_resumed_run_repeats_an_uninterrupted_one(tmp_path, trained, disks, old):
    steps = []

    class Killed(Exception):
        pass

    def die(step, loss, figures):
        steps.append(step)
        if step == 12:
            raise Killed

    with pytest.raises(Killed):
        finetune(old, disks(6, 3, 5), disks(2, 2, 6), tmp_path, SETTINGS, on_step=die)
    again = finetune(
        old, disks(6, 3, 5), disks(2, 2, 6), tmp_path, SETTINGS, on_step=lambda step, *_: steps.append(step)
    )
    assert steps[12] == 9  # from the checkpoint on
    for name, value in trained[1].unet.state_dict().items():
        assert torch.equal(again.unet.state_dict()[name], value), name


def test_scans_are_of_the_kinds_asked_for(disks):
    slices = disks(3, 3, 5)
    scans = [drawn_scan(slices, SCANS, 32, 0.5, (seed,)) for seed in range(12)]
    quiet = drawn_scan(slices, replace(SCANS, noiseless_share=1.0), 32, 1.0, (0,))
    views = [scan.A.geometry.n_views for scan in scans]
    assert 6 <= min(views) < max(views) <= 20
    assert len({type(scan.A.geometry) for scan in scans}) == 2
    assert all(scan.truth_hu.shape == scan.start.shape == (8, 1, 32, 32) for scan in scans)
    again = drawn_scan(slices, SCANS, 32, 0.5, (3,))
    assert torch.equal(again.y, scans[3].y)
    assert quiet.sigma.flatten(1).std(1).tolist() == pytest.approx([0] * 8, abs=1e-7)
    assert max(float(scan.sigma.flatten(1).std(1).min()) for scan in scans) > 1e-4


def test_examples_lie_near_the_truth_and_without_condition_nothing_is_shown(old, disks):
    prior = LatentPrior.from_pretrained(old)
    z, condition = examples(prior, disks(3, 3, 5), replace(SCANS, rounds=0), 8, 1.0, (1,))
    assert (z - condition).float().square().mean() < 0.5 * z.float().square().mean()
    objective = finetune_objective(old, disks(3, 3, 5), disks(2, 2, 6), SETTINGS)
    batch = next(objective.batches(0, 0))
    dropped = batch["spread"] == 1
    shown = batch["mean"].flatten(1).abs().amax(1) > 0
    assert torch.equal(dropped, ~shown)
    assert (batch["noise"][batch["alone"]] == 0).all()
    assert (batch["alpha_bar"][batch["alone"]] == 0).all()


def test_prior_of_its_own_begins_conditioned(toy, disks, prior_settings):
    settings = replace(prior_settings, condition=SCANS, pool=10)
    objective = prior_objective(disks(3, 3, 5), disks(2, 2, 6), toy[0], settings)
    assert objective.prior.is_conditioned
    assert all(p.requires_grad for p in objective.network.parameters())


def test_what_cannot_be_trained_is_refused(tmp_path, old, disks):
    with pytest.raises(UsageError, match="validate_every is 8 and pool 6"):
        finetune(old, disks(3, 3, 5), disks(2, 2, 6), tmp_path, replace(SETTINGS, pool=6))
    for change in ({"n_views": (1, 5)}, {"photons": (5.0, 1.0)}, {"dropout": 1.5}, {"beams": ()}, {"rounds": -1}):
        with pytest.raises(UsageError, match=f"condition.{next(iter(change))} is"):
            ConditionSettings(**change)
    prior = LatentPrior.from_pretrained(old)
    prior.scheduler.register_to_config(prediction_type="epsilon")
    with pytest.raises(PriorError, match="predicts epsilon; a conditioned one must predict v_prediction"):
        made_conditioned(prior, disks(3, 3, 5), SETTINGS)
