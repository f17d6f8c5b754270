"""Training: balanced drawing, exact resume, recipes, and a whole toy prior."""

import numpy as np
import pytest
import torch

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import PriorError, UsageError
from ctresample.pipelines.training.autoencoder import AutoencoderSettings, train_autoencoder
from ctresample.pipelines.training.prior import PriorSettings, train_prior
from ctresample.pipelines.training.recipe import read_recipe
from ctresample.pipelines.training.run import CHECKPOINT, LOG, RunSettings, train
from ctresample.prior import LatentPrior


def disks(n_slices, n_patients, seed):
    """Slices with a soft-tissue disk of random place and size in air."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:512, :512]
    hu = np.full((n_slices, 512, 512), -1000, np.int16)
    for image in hu:
        cx, cy, r = generator.uniform(200, 312, 2).tolist() + [generator.uniform(80, 180)]
        image[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = 40
    hashes = tuple(f"{seed}-{p}" for p in range(n_patients))
    return TrainingSlices(hu, np.arange(n_slices) % n_patients, hashes, f"digest{seed}")


AUTOENCODER = AutoencoderSettings(
    run=RunSettings(steps=120, batch_size=8, validate_every=20, warmup_steps=10, ema_decay=0.9, precision="fp32"),
    image_size=64,
    crop_size=32,
    channels=16,
    blocks=1,
    latent_channels=4,
)
PRIOR = PriorSettings(
    run=RunSettings(steps=40, batch_size=4, validate_every=20, warmup_steps=10, ema_decay=0.9),
    name="toy",
    image_size=64,
    channels=(16, 32),
    layers_per_block=1,
    pool=16,  # less than the steps, so that a second pool is made in mid-run
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    slices, held_out = disks(6, 3, 0), disks(2, 2, 1)
    train_autoencoder(slices, held_out, folder, AUTOENCODER)
    return folder, train_prior(slices, held_out, folder, folder / "diffusion", PRIOR)


def test_training_reduces_the_error(toy):
    folder, _ = toy
    log = np.genfromtxt(folder / LOG, delimiter=",", names=True)
    assert log["rmse_hu"][-1] < 0.5 * 520  # the error of a constant image is about 520 HU here
    assert log["rmse_hu"][-1] < log["rmse_hu"][0]


def test_saved_prior_is_the_trained_one(toy):
    folder, prior = toy
    loaded = LatentPrior.from_pretrained(folder / "diffusion" / "prior")
    assert loaded.config == prior.config
    hu = torch.full((1, 1, 64, 64), -500.0)
    torch.testing.assert_close(loaded.encode(hu), prior.encode(hu), rtol=0.02, atol=0.02)


def test_config_knows_its_own_error(toy):
    _, prior = toy
    spreads = [prior.spread_hu(t) for t in (20, 500, 980)]
    assert spreads[0] < spreads[1] < spreads[2]
    assert prior.config.provenance["data_digest"] == "digest0"


def test_resumed_run_equals_the_uninterrupted_one(tmp_path):
    def weights_after(folder, interruptions):
        slices, held_out = disks(4, 2, 0), disks(2, 2, 1)

        def stop(step, loss, figures):
            if step in interruptions:
                interruptions.remove(step)
                raise KeyboardInterrupt

        while True:
            try:
                return train_autoencoder(slices, held_out, folder, AUTOENCODER, on_step=stop).state_dict()
            except KeyboardInterrupt:
                continue

    whole = weights_after(tmp_path / "whole", [])
    broken = weights_after(tmp_path / "broken", [13, 41])
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_checkpoint_of_another_shape_is_refused(tmp_path):
    run = RunSettings(steps=2, validate_every=1, precision="fp32")
    for width in (3, 4):
        model = torch.nn.Linear(2, width)

        def loss_at(step, model=model):
            return model(torch.ones(1, 2)).square().sum()

        if width == 3:
            train(model, loss_at, lambda: {"loss": 1.0}, tmp_path, run)
        else:
            with pytest.raises(UsageError, match=CHECKPOINT):
                train(model, loss_at, lambda: {"loss": 1.0}, tmp_path, run)


def test_large_scans_do_not_dominate():
    patients = np.array([0] * 100 + [1])
    slices = TrainingSlices(np.zeros((101, 512, 512), np.int16), patients, ("a", "b"), "x")
    slices.hu[100] = 500
    drawn = slices.batch((0,), 200, 16, 1.0)
    share = float((drawn.amax(dim=(1, 2, 3)) > 100).float().mean())
    assert 0.03 < share < 0.16  # sqrt(1) / (sqrt(100) + sqrt(1)) = 0.09


def test_same_seed_same_images():
    slices = disks(3, 3, 0)
    assert torch.equal(slices.batch((1, 2), 3, 64, 0.5), slices.batch((1, 2), 3, 64, 0.5))


def test_shared_patients_are_refused():
    with pytest.raises(UsageError, match="1 patients are in both"):
        disks(4, 2, 0).check_apart(TrainingSlices(np.zeros((1, 512, 512), np.int16), np.zeros(1, int), ("0-1",), "y"))


def test_shipped_recipes_are_valid():
    for name in ("ct256", "toy"):
        assert read_recipe(name, "autoencoder", AutoencoderSettings).run.steps > 0
        assert read_recipe(name, "prior", PriorSettings).run.steps > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prior: {}", "prior.run"),
        ("prior: {run: {steps: 5}, chanels: [8]}", "chanels"),
        ("autoencoder: {}", "section 'prior'"),
        ("]", "section 'prior'"),
    ],
)
def test_bad_recipe_is_named(tmp_path, text, expected):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=expected):
        read_recipe(str(path), "prior", PriorSettings)


def test_missing_autoencoder(tmp_path):
    with pytest.raises(PriorError, match="holds no autoencoder"):
        train_prior(disks(2, 2, 0), disks(1, 1, 1), tmp_path, tmp_path, PRIOR)
