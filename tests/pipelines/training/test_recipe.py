"""Recipes: the shipped ones are valid, and what is wrong with another is named."""

import pytest

from ctresample.errors import UsageError
from ctresample.pipelines.training.autoencoder_settings import AutoencoderSettings
from ctresample.pipelines.training.prior_settings import FinetuneSettings, PriorSettings
from ctresample.pipelines.training.recipe import read_recipe
from ctresample.pipelines.training.settings import RunSettings


@pytest.mark.parametrize("name", ["ct256", "toy"])
def test_shipped_recipes_are_valid(name):
    autoencoder = read_recipe(name, "autoencoder", AutoencoderSettings)
    prior = read_recipe(name, "prior", PriorSettings)
    assert (prior.hu_range, prior.patch_size) == (autoencoder.hu_range, autoencoder.patch_size)
    assert read_recipe(name, "finetune", FinetuneSettings).run.steps > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prior: {}", "prior.run"),
        ("prior: {run: {steps: 5}, chanels: [8]}", "chanels"),
        ("prior: {run: {steps: 5, bach_size: 2}}", "bach_size"),
        ("prior: {run: {steps: 0}}", "run.steps is 0"),
        ("prior: {run: {steps: 5, precision: fp8}}", "prior.run.precision"),
        ("prior: {run: {steps: 5}, prediction_type: sample}", "prior.prediction_type"),
        ("prior: {run: {steps: 5}, image_size: 250}", "image_size is 250"),
        ("autoencoder: {}", "section 'prior'"),
        ("]", "section 'prior'"),
    ],
)
def test_bad_recipe_is_named(tmp_path, text, expected):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=expected):
        read_recipe(str(path), "prior", PriorSettings)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"crop_size": 30}, "crop_size is 30"),
        ({"crop_size": 8, "ssim_weight": 1.0}, "need 11 or more"),
        ({"crop_size": 16, "adversarial_weight": 1.0}, "need 24 or more"),
        ({"start": "pca", "channels": (16, 16)}, "one entry in channels"),
        ({"start": "pca", "channels": (8,)}, "twice their number"),
        ({"start": "pca", "network": "VQModel"}, "AutoencoderTiny"),
    ],
)
def test_autoencoder_that_cannot_be(entries, expected):
    with pytest.raises(UsageError, match=expected):
        AutoencoderSettings(run=RunSettings(steps=1), **entries)


def test_learning_rate_warms_up_and_comes_down():
    run = RunSettings(steps=1000, warmup_steps=100, learning_rate=1.0)
    rates = [run.learning_rate_at(step) for step in range(1000)]
    assert rates[0] < 0.011
    assert max(rates) == pytest.approx(1.0, abs=0.03)
    assert rates.index(max(rates)) == 99
    assert rates[-1] == pytest.approx(0.02, abs=0.001)
