"""ReSample as a diffusers pipeline: the solver's own images, saved, loaded, watched and stopped."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample import LatentPrior, ReSamplePipeline, Volume, make_projector, simulate, write_sinogram
from ctresample.errors import PriorError, UsageError
from ctresample.learned.trained_scans import TrainedScans
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.reconstruction.slice_generators import slice_generators
from ctresample.solvers.resample import PRESETS
from ctresample.testing import PretendDevice, priors

FEW = replace(PRESETS["fast"], n_steps=3, averaged_steps=1, final="none", warm_start="cgls")


@pytest.fixture(autouse=True)
def one_thread(in_one_thread):
    with in_one_thread():
        yield


@pytest.fixture(scope="module")
def scan():
    hu = np.full((2, 32, 32), -1000.0)
    hu[:, 6:26, 8:24] = 40
    return simulate(Volume(hu, np.diag([2, 2, 2, 1])), n_views=12, size=32, photons=1e5)


@pytest.fixture
def pipe():
    made = ReSamplePipeline.from_prior(priors.random_prior())
    made.set_progress_bar_config(disable=True)
    return made


def test_gives_what_reconstruct_gives(pipe, scan):
    expected = reconstruct(scan, settings=FEW, prior=priors.random_prior(), seed=7, z_coupling="none")
    found = pipe(scan, settings=FEW, generator=slice_generators(7, range(2), coupled=True))
    np.testing.assert_array_equal(found.images, expected.image_hu)
    assert found.residual_ratio == expected.residual_ratio


@pytest.mark.parametrize("spread", [None, 1.0], ids=["of images alone", "that knows scans"])
def test_the_default_starts_as_reconstruct_does(scan, spread, monkeypatch):
    # rounds of an untrained network lead anywhere
    monkeypatch.setattr("ctresample.solvers.resample.sampler.check_hu_range", lambda *_: None)
    few = replace(PRESETS["fast"], n_steps=2, averaged_steps=1)
    scans = TrainedScans((12, 90), (1e4, 1e6), ("parallel",)) if spread else None
    prior = priors.random_prior(condition_spread=spread)
    prior.config = replace(prior.config, condition_scans=scans)
    expected = reconstruct(scan, settings=few, prior=prior, seed=7, z_coupling="none")
    assert expected.settings["warm_start"] == ("itnet" if spread else "tv")
    pipe = ReSamplePipeline.from_prior(prior)
    pipe.set_progress_bar_config(disable=True)
    found = pipe(scan, settings=few, generator=slice_generators(7, range(2), coupled=True))
    np.testing.assert_array_equal(found.images, expected.image_hu)
    y, sigma = scan.values[:, None], scan.sigma()[:, None]
    A = make_projector(scan.geometry, scan.grid)
    assert np.isfinite(pipe(measurement=y, operator=A, sigma=sigma, settings=few).images).all()


def test_a_measurement_with_its_operator(pipe, scan):
    A = make_projector(scan.geometry, scan.grid)
    options = {"settings": FEW, "mu_water_per_mm": scan.mu_water_per_mm}
    found = pipe(
        measurement=scan.values[:, None].astype(np.float64),
        operator=A,
        sigma=torch.from_numpy(scan.sigma())[:, None],
        generator=torch.Generator().manual_seed(1),
        **options,
    )
    expected = pipe(scan, settings=FEW, generator=torch.Generator().manual_seed(1))
    np.testing.assert_array_equal(found.images, expected.images)


def test_there_and_back(pipe, scan, tmp_path):
    """Saved and loaded as a pipeline, and as a prior; the path of a scan does for the scan."""
    pipe.save_pretrained(str(tmp_path / "pipe"))
    again = ReSamplePipeline.from_pretrained(str(tmp_path / "pipe"))
    again.set_progress_bar_config(disable=True)
    write_sinogram(scan, tmp_path / "scan.h5")
    seed = {"settings": FEW, "generator": torch.Generator().manual_seed(3)}
    expected = pipe(scan, **seed).images
    found = again(str(tmp_path / "scan.h5"), settings=FEW, generator=torch.Generator().manual_seed(3)).images
    np.testing.assert_array_equal(found, expected)
    assert again.prior.config == pipe.prior.config
    assert (tmp_path / "pipe" / "model_index.json").is_file()
    assert LatentPrior.from_pretrained(tmp_path / "pipe").config == pipe.prior.config
    assert set(pipe.components) == {"vae", "unet", "scheduler", "coarse", "scan_unet"}


def test_a_prior_that_was_saved_as_one(tmp_path):
    priors.random_prior().save_pretrained(tmp_path / "prior")
    assert ReSamplePipeline.from_pretrained(tmp_path / "prior").prior.config.name == "toy"


def test_outputs(pipe, scan):
    def run(**options):
        return pipe(scan, settings=FEW, generator=torch.Generator().manual_seed(1), **options)

    hu = run().images
    (shares,) = run(output_type="np", return_dict=False)
    assert shares.shape == (2, 32, 32, 1)
    low, high = pipe.prior.config.hu_range
    np.testing.assert_allclose(shares[..., 0], np.clip((hu - low) / (high - low), 0, 1), atol=1e-6)
    tensor = run(output_type="pt").images
    assert torch.equal(tensor[:, 0], torch.from_numpy(shares[..., 0]))


def test_steps_are_told_and_may_stop_it(pipe, scan):
    seen = []

    def look(pipeline, step, timestep, figures):
        seen.append((step, timestep, sorted(figures)))
        pipeline._interrupt = step == 1

    pipe(
        scan, settings=FEW, generator=torch.Generator().manual_seed(1), num_inference_steps=5, callback_on_step_end=look
    )
    assert [step for step, _, _ in seen] == [0, 1]
    assert seen[0][1] > seen[1][1] and seen[0][2] == ["residual_ratio"]


def test_its_own_random_numbers_are_those_of_torch(pipe, scan):
    images = []
    for _ in range(2):
        torch.manual_seed(5)
        images += [pipe(scan, settings=FEW).images, pipe(scan, settings=FEW).images]
    np.testing.assert_array_equal(images[0], images[2])
    assert not np.array_equal(images[0], images[1])


def test_on_another_device(scan):
    with PretendDevice() as device:
        pipe = ReSamplePipeline.from_prior(priors.random_prior()).to(device.name)
        pipe.set_progress_bar_config(disable=True)
        images = pipe(scan, settings=FEW, generator=torch.Generator().manual_seed(1)).images
    assert np.isfinite(images).all()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "expected a sinogram, or a measurement with its operator and sigma"),
        ({"measurement": np.zeros((1, 1, 12, 47))}, "expected a sinogram, or a measurement"),
        ({"sinogram": "scan", "sigma": np.ones(1)}, "sinogram has a measurement of its own"),
        ({"sinogram": "scan", "output_type": "pil"}, "output_type is 'pil'; expected hu, pt or np"),
        ({"sinogram": "scan", "settings": "slow"}, "settings is 'slow'"),
        ({"sinogram": "scan", "generator": [torch.Generator()]}, "there are 1 generators for 2 slices"),
    ],
)
def test_what_is_refused(pipe, scan, options, why):
    options = {name: scan if value is options.get("sinogram") else value for name, value in options.items()}
    with pytest.raises(UsageError, match=why):
        pipe(**options)


def test_priors_that_are_none(tmp_path):
    with pytest.raises(PriorError, match="no prior 'nonsense'"):
        ReSamplePipeline.from_pretrained("nonsense")
    with pytest.raises(UsageError, match="torch_dtype is torch.float16"):
        ReSamplePipeline.from_pretrained("ct256", torch_dtype=torch.float16)
