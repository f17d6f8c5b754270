"""Methods with the latent prior beside ReSample, from the command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctresample.pipelines.reconstruction.methods import METHODS, Method

N_STEPS = 6
PIXEL = pytest.mark.parametrize("method", [name for name, known in METHODS.items() if known.needs == "pixel prior"])
RIVALS = [
    name
    for name, method in METHODS.items()
    if method.needs == "latent prior" and not method.has_presets and name != "itnet"  # which needs a conditioned one
]


@pytest.fixture
def fewer_steps(monkeypatch):
    load = Method.load_settings

    def fewer(*names):
        settings = load(*names)
        return replace(settings, n_steps=N_STEPS) if settings else None  # the report has an FBP beside

    monkeypatch.setattr(Method, "load_settings", fewer)


@pytest.mark.parametrize("method", RIVALS)
@pytest.mark.usefixtures("fewer_steps")
def test_reconstruct(cli, scan, prior, tmp_path, method):
    out = tmp_path / "result"
    done = cli(
        "reconstruct", scan, "-o", out, "--method", method, "--prior", prior, "--seed", 3, "--z-coupling", "none"
    )
    assert done.exit_code == 0, done.output
    assert f"3 slices by {method}" in done.stdout
    assert len(list((out / "dicom").glob("*.dcm"))) == 3
    record = json.loads((out / "run.json").read_text())
    seed = 3 if METHODS[method].is_random else None  # pnp draws no random numbers
    assert (record["method"], record["preset"], record["seed"]) == (method, None, seed)
    assert record["settings"] == asdict(METHODS[method].load_settings())
    assert record["prior"]["name"] == "toy"
    assert record["settings"]["n_steps"] == N_STEPS
    assert len(record["residual_history"]) >= N_STEPS


def test_itnet_takes_a_prior_that_knows_the_scan(cli, scan, prior, tmp_path, toy_prior):
    out = tmp_path / "result"
    refused = cli("reconstruct", scan, "-o", out, "--method", "itnet", "--prior", prior, "--device", "cpu")
    assert refused.exit_code == 1
    assert "prior toy takes no condition; use one that was trained on scans" in refused.stderr
    assert not out.exists()
    toy_prior.random_prior(condition_spread=0.3).save_pretrained(tmp_path / "knowing")
    done = cli("reconstruct", scan, "-o", out, "--method", "itnet", "--prior", tmp_path / "knowing", "--device", "cpu")
    assert done.exit_code == 0, done.output
    record = json.loads((out / "run.json").read_text())
    assert record["settings"] == asdict(METHODS["itnet"].load_settings())
    assert len(record["residual_history"]) == record["settings"]["rounds"]


@pytest.mark.parametrize("method", RIVALS)
def test_prior_that_is_not_there(cli, scan, tmp_path, method):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--method", method, "--prior", "none", "--device", "cpu")
    assert done.exit_code == 1
    assert "no prior 'none'" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("fewer_steps")
def test_latent_methods_take_the_bundled_prior(cli, scan, tmp_path):
    out = tmp_path / "result"
    done = cli("reconstruct", scan, "-o", out, "--method", "pnp", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert json.loads((out / "run.json").read_text())["prior"]["name"] == "ct256"


def test_fbp_unet_takes_the_bundled_one(cli, series, tmp_path):
    scan, out = tmp_path / "scan.h5", tmp_path / "result"
    assert cli("simulate", series, "-o", scan, "--views", 25, "--size", 256).exit_code == 0
    done = cli("reconstruct", scan, "-o", out, "--method", "fbp-unet", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert json.loads((out / "run.json").read_text())["prior"]["name"] == "fbp-unet-25"


@PIXEL
def test_no_pixel_prior_is_bundled(cli, scan, tmp_path, method):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--method", method, "--device", "cpu")
    assert done.exit_code == 2
    (line,) = done.stderr.strip().splitlines()[-1:]
    assert line.startswith(f"ctresample: error: method {method} needs a pixel prior, and none comes with ctresample")
    assert "`ctresample prior import`" in line
    assert "`ctresample train pixel-prior`" in line
    assert not (tmp_path / "out").exists()


@PIXEL
def test_prior_of_another_kind(cli, scan, prior, tmp_path, method):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--method", method, "--prior", prior, "--device", "cpu")
    assert done.exit_code == 1
    assert "is a latent" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("ctresample: error: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", RIVALS)
def test_weights_that_are_not_numbers(cli, scan, prior, tmp_path, method):
    """One line, and nothing half-written."""
    folder = shutil.copytree(prior, tmp_path / "broken")
    (path,) = (folder / "unet").glob("*.safetensors")
    weights = load_file(path)
    weights["conv_out.bias"] = torch.full_like(weights["conv_out.bias"], float("nan"))
    save_file(weights, path, metadata={"format": "pt"})
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--method", method, "--prior", folder, "--device", "cpu")
    assert done.exit_code == 1
    assert f"{method} diverged at step 1 of" in done.stderr
    assert not (tmp_path / "out").exists()


def test_preset_of_a_method_that_is_not_there(cli, scan, tmp_path):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--preset", "slow")
    assert done.exit_code == 2
    assert "--preset is 'slow'; expected one of fast, draft, quality, paper, released_code" in done.stderr
