"""The training loop: exact resume after a kill, checkpoints that survive, early stop."""

import csv
import errno
import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctresample.errors import OutputError, UsageError
from ctresample.pipelines.training.autoencoder import train_autoencoder
from ctresample.pipelines.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint
from ctresample.pipelines.training.curves import CURVES
from ctresample.pipelines.training.prior import train_prior
from ctresample.pipelines.training.result import save_whole
from ctresample.pipelines.training.settings import RunSettings


def rows(folder):
    with (folder / CURVES).open(newline="") as file:
        return list(csv.DictReader(file))


def assert_equal_weights(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


class Killed(BaseException):
    """Stands for SIGKILL where a subprocess would take too long: nothing of the program runs after it."""


@pytest.fixture(scope="module")
def whole(toy_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, toy_run.run(folder)


def test_run_killed_and_resumed_equals_the_uninterrupted_one(toy_run, whole, tmp_path):
    folder, weights = whole
    program = [sys.executable, toy_run.__file__, str(tmp_path), "13"]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    assert subprocess.run(program, env=environment).returncode == -signal.SIGKILL
    assert len(rows(tmp_path)) == 2  # it died after the checkpoints of steps 5 and 10
    assert_equal_weights(toy_run.run(tmp_path), weights)
    assert rows(tmp_path) == rows(folder)
    assert len(rows(folder)) == 5


@pytest.mark.parametrize("place", ["before_checkpoint", "in_checkpoint", "before_curves"])
def test_kill_around_a_checkpoint(toy_run, whole, tmp_path, monkeypatch, place):
    folder, weights = whole
    with monkeypatch.context() as patch:
        if place == "in_checkpoint":
            write, calls = torch.save, []

            def half_saved(state, file):
                calls.append(state)
                if len(calls) == 2:
                    file.write(b"half of it")
                    raise Killed
                write(state, file)

            patch.setattr(torch, "save", half_saved)
        else:
            import ctresample.pipelines.training.run as run_module
            from ctresample.pipelines.training.curves import Curves

            owner, name = (run_module, "write_checkpoint") if place == "before_checkpoint" else (Curves, "write")
            original, calls = getattr(owner, name), []

            def killed(*args):
                calls.append(args)
                if len(calls) == 2:
                    raise Killed
                original(*args)

            patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            toy_run.run(tmp_path)
    assert_equal_weights(toy_run.run(tmp_path), weights)
    assert rows(tmp_path) == rows(folder)


def test_finished_run_is_not_trained_further(toy_run, whole):
    folder, weights = whole
    steps = []
    again = toy_run.run(folder, on_step=lambda step, loss, figures: steps.append(step))
    assert_equal_weights(again, weights)
    assert steps == []


@pytest.mark.slow  # that a killed run repeats itself is tested above, of a prior alone
def test_autoencoder_and_prior_resume_exactly(tmp_path, disks, autoencoder_settings, prior_settings):
    slices, held_out = disks(4, 2, 0), disks(2, 2, 1)
    run = replace(autoencoder_settings.run, steps=15, batch_size=4, validate_every=5, pictures_every=0)
    vae_settings = replace(autoencoder_settings, run=run, adversarial_weight=0.1, adversarial_start=3)
    unet_settings = replace(prior_settings, run=run, pool=6)

    def train_both(folder, vae_stops, unet_stops):
        def stopping(stops):
            def stop(step, loss, figures):
                if step in stops:
                    stops.remove(step)
                    raise Killed

            return stop

        while True:
            try:
                train_autoencoder(slices, held_out, folder, vae_settings, on_step=stopping(vae_stops))
                return train_prior(
                    slices, held_out, folder, folder / "prior", unet_settings, on_step=stopping(unet_stops)
                )
            except Killed:
                continue

    whole, broken = train_both(tmp_path / "whole", [], []), train_both(tmp_path / "broken", [7], [3, 13])
    assert_equal_weights(whole.vae.state_dict(), broken.vae.state_dict())
    assert_equal_weights(whole.unet.state_dict(), broken.unet.state_dict())
    assert whole.config == broken.config
    for name in (".", "prior"):
        assert rows(tmp_path / "whole" / name) == rows(tmp_path / "broken" / name)


def test_accumulated_batches_are_one_larger_batch(toy_run, tmp_path):
    class OneBatch(toy_run.Toy):
        def batches(self, first, process):
            halves = super().batches(2 * first, process)
            while True:
                a, b = next(halves), next(halves)
                yield {name: torch.cat([a[name], b[name]]) for name in a}

    settings = replace(toy_run.SETTINGS, steps=6)
    two = toy_run.run(tmp_path / "two", settings)
    one = toy_run.run(tmp_path / "one", replace(settings, accumulation=1), OneBatch())
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_two_processes_are_one_with_larger_batches(toy_run, tmp_path):
    class BothBatches(toy_run.Toy):
        def batches(self, first, process):
            for a, b in zip(super().batches(first, 0), super().batches(first, 1), strict=True):
                yield {name: torch.cat([a[name], b[name]]) for name in a}

    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    subprocess.run([*launch, toy_run.__file__, str(tmp_path / "two"), "-1"], check=True)
    toy_run.run(tmp_path / "one", toy=BothBatches())
    for two, one in zip(rows(tmp_path / "two"), rows(tmp_path / "one"), strict=True):
        assert {n: float(v) for n, v in two.items()} == pytest.approx({n: float(v) for n, v in one.items()}, rel=1e-3)


def test_early_stop_keeps_the_best(toy_run, tmp_path):
    class GettingWorse(toy_run.Toy):
        def validate(self):
            weights.append({name: value.clone() for name, value in self.network.state_dict().items()})
            return {"loss": abs(len(weights) - 2.0)}

    weights = []
    settings = replace(toy_run.SETTINGS, steps=1000, validate_every=2, patience=3)
    end = toy_run.run(tmp_path, settings, GettingWorse())
    assert len(weights) == 5  # the best is the second; three worse ones follow
    assert_equal_weights(end, weights[1])
    toy_run.run(tmp_path, settings, GettingWorse())
    assert len(weights) == 5  # stopped for good


def test_checkpoint_of_another_shape_is_refused(toy_run, whole):
    folder, _ = whole
    with pytest.raises(UsageError, match=r"checkpoint\.pt was made with width = 8, this run has width = 9") as caught:
        toy_run.run(folder, toy=toy_run.Toy(width=9))
    assert "\n" not in str(caught.value)


def test_checkpoint_of_other_settings_is_refused(toy_run, whole):
    folder, _ = whole
    with pytest.raises(UsageError, match=r"run\.learning_rate = 0\.001, this run has run\.learning_rate = 0\.002"):
        toy_run.run(folder, replace(toy_run.SETTINGS, learning_rate=0.002))
    toy_run.run(folder, replace(toy_run.SETTINGS, pictures_every=7))  # no matter to the result


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip file", b"\x80\x02cos\nsystem\n."])
def test_damaged_checkpoint_is_refused(tmp_path, content):
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(UsageError, match="no checkpoint of a training run") as caught:
        read_checkpoint(tmp_path / CHECKPOINT, {})
    assert "\n" not in str(caught.value)


@pytest.fixture
def file_size_limit():
    """The system refuses to let a file grow, as it does where the disk is full."""

    @contextmanager
    def limited(n_bytes):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


def saving(n):
    """Saves a folder with ``n`` weights."""

    def save(folder):
        save_file({"w": torch.zeros(n)}, folder / "weights.safetensors")

    return save


def test_full_disk_leaves_the_previous_checkpoint(tmp_path, file_size_limit):
    path = tmp_path / CHECKPOINT
    write_checkpoint(path, {"identity": {}, "step": 1})
    before = path.read_bytes()
    with file_size_limit(100_000), pytest.raises(OutputError, match="the previous checkpoint is intact") as caught:
        write_checkpoint(path, {"identity": {}, "step": 2, "weights": torch.zeros(1_000_000)})
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_leaves_the_previous_result(tmp_path, file_size_limit):
    folder = tmp_path / "vae"
    save_whole(folder, saving(10))
    with file_size_limit(100_000), pytest.raises(OutputError, match="the run's checkpoint is intact") as caught:
        save_whole(folder, saving(1_000_000))
    assert "\n" not in str(caught.value)
    assert load_file(folder / "weights.safetensors")["w"].shape == (10,)
    assert list(tmp_path.iterdir()) == [folder]
    save_whole(folder, saving(20))
    assert load_file(folder / "weights.safetensors")["w"].shape == (20,)


def test_full_disk_at_the_last_step_leaves_the_previous_result(tmp_path, monkeypatch):
    """The new one is written but cannot take its place: the old one must not be gone by then."""
    folder, rename = tmp_path / "vae", Path.rename
    save_whole(folder, saving(10))

    def no_place(before, after):
        if after == folder and (before / "weights.safetensors").stat().st_size > 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(before, after)

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="No space left .* checkpoint is intact"):
        patch.setattr(Path, "rename", no_place)
        patch.setattr(Path, "replace", no_place)
        save_whole(folder, saving(1000))
    assert load_file(folder / "weights.safetensors")["w"].shape == (10,)
    assert list(tmp_path.iterdir()) == [folder]


def test_loss_that_is_no_number_is_named(toy_run, tmp_path):
    class Diverging(toy_run.Toy):
        def forward(self, batch):
            return super().forward(batch) * float("inf")

    with pytest.raises(UsageError, match="step 5; lower run.learning_rate"):
        toy_run.run(tmp_path, toy=Diverging())
    assert not (tmp_path / CHECKPOINT).exists()


def test_fp16_without_a_gpu_is_refused(toy_run, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(UsageError, match="fp16, which needs a GPU"):
        toy_run.run(tmp_path, replace(toy_run.SETTINGS, precision="fp16"))


def test_short_precision_trains(toy_run, tmp_path):
    toy_run.run(tmp_path, RunSettings(steps=4, batch_size=4, validate_every=2, precision="bf16"))
    assert len(rows(tmp_path)) == 2


def test_folder_that_cannot_be_made(toy_run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make the folder"):
        toy_run.run(Path(tmp_path / "file" / "run"))
