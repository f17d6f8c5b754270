"""Every method behind one call: results that do not depend on batches, and errors that say what to do."""

from __future__ import annotations

import importlib
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ctresample.errors import PriorError, UsageError
from ctresample.geometry import ImageGrid
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.trained_scans import TrainedScans
from ctresample.operators import make_projector
from ctresample.pipelines.reconstruction.methods import METHODS
from ctresample.pipelines.reconstruction.physics import Physics
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.simulate import simulate
from ctresample.sinogram import Sinogram
from ctresample.solvers.resample import PRESETS, ReSampleSettings
from ctresample.units import AIR_HU
from ctresample.volume import Volume

SMALL = {
    "small fast": replace(PRESETS["fast"], n_steps=20, start_level=0.5, final_spread_hu=100.0, coupled=False),
    "small paper": replace(PRESETS["paper"], n_steps=20, pixel_iterations=10, latent_iterations=5),
}


@pytest.fixture(autouse=True)
def small_presets(monkeypatch):
    for name, settings in SMALL.items():
        monkeypatch.setitem(PRESETS, name, settings)


@pytest.fixture(scope="module")
def volume(phantoms) -> Volume:
    """Three slices, no two alike, and too far apart to be coupled."""
    grid = ImageGrid((32, 32), 6.0)
    hu = phantoms.image(grid, phantoms.head(grid, mu=1000.0)) + AIR_HU
    return Volume(np.stack([hu, hu.T, hu[::-1]]).astype(np.float32), np.diag([6.0, 6.0, 8.0, 1.0]))


@pytest.fixture(scope="module")
def sinogram(volume) -> Sinogram:
    return simulate(volume, n_views=16, size=32, photons=1e5)


@pytest.fixture
def prior(toy_prior):
    return toy_prior.random_prior()


EVERY = pytest.mark.parametrize("method", [name for name, known in METHODS.items() if known.needs != "fbp-unet"])
"""Whose model does not depend on the scan."""


def options_of(method: str, toy_prior) -> dict:
    if not METHODS[method].needs:
        return {"method": method}
    priors = {"latent prior": toy_prior.random_prior, "pixel prior": toy_prior.random_pixel_prior}
    options = {"method": method, "prior": priors[METHODS[method].needs]()}
    if METHODS[method].has_presets:
        return options | {"preset": "small fast"}
    settings = METHODS[method].load_settings()
    if method == "itnet":
        return options | {
            "prior": toy_prior.random_prior(condition_spread=0.3),
            "settings": replace(settings, rounds=6),
        }
    settings = replace(settings, n_steps=6)
    # conjugate gradients that are near their end make rounding large where the prior knows nothing
    fewer = {"cg_iterations": 4} if hasattr(settings, "cg_iterations") else {}
    return options | {"settings": replace(settings, **fewer)}


@EVERY
def test_every_method(method, sinogram, toy_prior):
    shares = []
    done = reconstruct(sinogram, **options_of(method, toy_prior), progress=shares.append, batch_size=2)
    assert done.image_hu.shape == (3, 32, 32)
    assert done.image_hu.dtype == np.float32
    assert np.isfinite(done.image_hu).all()
    assert len(done.residual_ratio) == 3
    assert done.method == method
    assert done.seconds > 0
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] == 1
    assert bool(done.residual_history) == (method != "fbp")


def test_cgls_does_not_depend_on_the_batch(sinogram):
    images = [reconstruct(sinogram, method="cgls", batch_size=size).image_hu for size in (1, 2, 3)]
    np.testing.assert_array_equal(images[1], images[0])
    np.testing.assert_array_equal(images[2], images[0])


@pytest.mark.parametrize("method", ["cgls", "sirt"])
def test_solvers_stop_at_the_noise_of_the_rays_that_are_known(method, sinogram):
    bad = np.zeros(sinogram.values.shape, bool)
    bad[:, ::2] = True
    bad[0] = False
    ratios = reconstruct(replace(sinogram, bad_rays=bad), method=method).residual_ratio[1:]
    assert ratios == pytest.approx([1.0] * 2, abs=0.03)  # 0.7 if all rays counted


@pytest.mark.parametrize(("method", "worst_hu"), [("fbp", 130), ("sirt", 90), ("tv", 70)])
def test_images_are_the_object_in_hu(method, worst_hu, volume, sinogram):
    error = reconstruct(sinogram, method=method).image_hu - volume.hu
    assert np.sqrt((error**2).mean()) < worst_hu
    assert abs(error.mean()) < 10


def test_cgls_ends_at_the_noise_level(sinogram):
    assert reconstruct(sinogram, method="cgls").residual_ratio == pytest.approx([1] * 3, abs=0.01)


def test_resample_ends_near_the_noise_level(sinogram, toy_prior):
    """With a prior that is not far off."""
    done = reconstruct(sinogram, prior=toy_prior.GaussianPrior(), preset="small fast")
    assert done.residual_ratio == pytest.approx([1] * 3, abs=0.3)


@EVERY
def test_batch_size_does_not_matter(method, sinogram, toy_prior):
    options = options_of(method, toy_prior)
    one, all_three = (reconstruct(sinogram, **options, batch_size=n) for n in (1, 8))
    assert np.sqrt(((one.image_hu - all_three.image_hu) ** 2).mean()) < 3
    assert one.residual_ratio == pytest.approx(all_three.residual_ratio, abs=0.02)


@pytest.mark.parametrize("preset", SMALL)
def test_seed(preset, sinogram, prior):
    first = Sinogram(sinogram.values[:1], sinogram.geometry, sinogram.grid, sinogram.affine, photons=1e5)

    def run(data: Sinogram, seed: int) -> np.ndarray:
        done = reconstruct(data, prior=prior, preset=preset, seed=seed)
        assert done.seed == seed
        return done.image_hu

    once = run(first, 3)
    assert np.array_equal(once, run(first, 3))
    assert np.abs(once - run(first, 4)).max() > 1
    assert np.abs(once[0] - run(sinogram, 3)[0]).max() < 10  # the same draws in the company of others


@EVERY
def test_a_seed_is_told_of_methods_that_it_changes(method, sinogram, toy_prior):
    first = Sinogram(sinogram.values[:1], sinogram.geometry, sinogram.grid, sinogram.affine, photons=1e5)
    one, other = (reconstruct(first, **options_of(method, toy_prior), seed=seed) for seed in (3, 4))
    assert np.array_equal(one.image_hu, other.image_hu) == (one.seed is None)


def test_settings_are_kept_with_the_result(sinogram, prior):
    done = reconstruct(sinogram, prior=prior, preset="small paper", seed=9)
    assert (done.preset, done.seed) == ("small paper", 9)
    assert ReSampleSettings(**done.settings) == SMALL["small paper"]
    assert done.settings == asdict(SMALL["small paper"])
    plain = reconstruct(sinogram, method="fbp")
    assert (plain.preset, plain.seed, plain.settings) == ("", None, {"window": "hann"})


def test_settings_in_place_of_a_preset(sinogram, prior):
    own = replace(SMALL["small fast"], n_steps=7, warm_start="tv")
    done = reconstruct(sinogram, prior=prior, settings=own)
    assert (done.preset, done.settings) == ("", asdict(own))
    with pytest.raises(UsageError, match="method tv takes no settings"):
        reconstruct(sinogram, method="tv", settings=own)


def test_coupled_slices_draw_the_same_noise(sinogram, prior):
    """Equal data then give equal images, whatever their place."""
    same = replace(sinogram, values=np.stack([sinogram.values[0]] * 3))
    settings = replace(SMALL["small fast"], final="none")
    coupled = reconstruct(same, prior=prior, settings=replace(settings, coupled=True), batch_size=2).image_hu
    alone = reconstruct(same, prior=prior, settings=settings).image_hu
    assert np.abs(coupled - alone[0]).max() < 0.1 * np.abs(alone[1:] - alone[0]).max()


def test_hu_refer_to_the_water_of_the_sinogram(sinogram):
    """The same line integrals seen with water half as dense: everything is twice as far from air."""
    half = replace(sinogram, mu_water_per_mm=sinogram.mu_water_per_mm / 2)
    expected = 2 * (reconstruct(sinogram, method="fbp").image_hu - AIR_HU) + AIR_HU
    assert reconstruct(half, method="fbp").image_hu == pytest.approx(expected, abs=0.1)


@pytest.fixture
def starts(monkeypatch):
    """Start images that ReSample is given; it returns them, or zeros where there are none."""
    module = importlib.import_module("ctresample.solvers.resample")
    starts = []

    def instead(y, A, prior, *, start=None, **_):
        starts.append(start)
        return start if start is not None else torch.zeros(len(y), 1, *A.domain_shape)

    monkeypatch.setattr(module, "resample", instead)
    return starts


def test_warm_start_is_the_image_of_cgls_if_asked_for(sinogram, prior, starts):
    settings = replace(PRESETS["small fast"], warm_start="cgls")
    found = reconstruct(sinogram, prior=prior, settings=settings).image_hu
    assert len(starts) == 1
    assert starts[0] is not None
    assert found == pytest.approx(reconstruct(sinogram, method="cgls").image_hu, abs=0.1)


def test_warm_start_is_a_tv_image_if_a_rough_one(sinogram, prior, starts):
    found = reconstruct(sinogram, prior=prior, preset="small fast").image_hu
    assert np.sqrt(((found - reconstruct(sinogram, method="tv").image_hu) ** 2).mean()) < 40
    reconstruct(sinogram, prior=prior, preset="small paper")
    assert starts[-1] is None


def test_warm_start_by_the_priors_own_rounds_where_it_knows_the_scan(sinogram, toy_prior, starts):
    knows = toy_prior.random_prior(condition_spread=1.0)
    found = reconstruct(sinogram, prior=knows, preset="small fast")
    assert found.settings["warm_start"] == "itnet"
    np.testing.assert_array_equal(found.image_hu, reconstruct(sinogram, method="itnet", prior=knows).image_hu)


def seen(prior, n_views):
    return LatentPrior(
        prior.vae,
        prior.unet,
        prior.scheduler,
        replace(prior.config, condition_scans=TrainedScans(n_views, (1e4, 1e6), ("parallel",))),
    )


@pytest.mark.parametrize(
    ("build", "more"),
    [
        pytest.param(lambda toys: toys.random_prior(), {}, id="a prior of images alone"),
        pytest.param(lambda toys: seen(toys.random_prior(condition_spread=1.0), (20, 90)), {}, id="other scans"),
        pytest.param(lambda toys: toys.random_prior(condition_spread=1.0), {"z_coupling": 1.0}, id="neighbours"),
        pytest.param(lambda toys: toys.random_prior(condition_spread=1.0), {"physics": Physics("counts")}, id="counts"),
    ],
)
def test_warm_start_by_tv_where_rounds_do_not_serve(sinogram, toy_prior, starts, build, more):
    found = reconstruct(sinogram, prior=build(toy_prior), preset="small fast", **more)
    assert found.settings["warm_start"] == "tv"


def test_more_noise_to_begin_with_of_a_limited_angle(sinogram, toy_prior, starts):
    knows, n = toy_prior.random_prior(condition_spread=1.0), sinogram.geometry.n_views
    narrow = replace(sinogram, geometry=sinogram.geometry.with_angles(np.linspace(0, np.radians(80), n)))
    found = reconstruct(narrow, prior=knows, preset="small fast").settings
    assert (found["warm_start"], found["start_level"], found["n_steps"]) == ("tv", 0.5, 45)


# ---------------------------------------------------------------- what is refused


def test_unknown_method(sinogram):
    with pytest.raises(UsageError, match=r"method is 'magic'; expected one of resample, fbp, sirt, cgls, wls, tv"):
        reconstruct(sinogram, method="magic")


def test_unknown_preset(sinogram, prior):
    with pytest.raises(UsageError, match=r"preset is 'slow'; expected one of fast, draft, quality, paper"):
        reconstruct(sinogram, preset="slow", prior=prior)


def test_no_prior_where_none_comes_along(sinogram):
    with pytest.raises(UsageError, match="method dds needs a pixel prior, and none comes with ctresample"):
        reconstruct(sinogram, method="dds")


@pytest.mark.parametrize(("model", "kind"), [(SimpleNamespace(kind="pixel prior"), "pixel prior"), (5, "int")])
def test_model_of_another_kind(sinogram, model, kind):
    with pytest.raises(UsageError, match=f"method resample needs a latent prior; the model given is a {kind}"):
        reconstruct(sinogram, prior=model)


def test_grid_that_does_not_fit_the_prior(volume, prior):
    odd = simulate(volume, n_views=4, size=30)
    with pytest.raises(PriorError, match="multiples of 4; the image grid is 30 x 30"):
        reconstruct(odd, prior=prior)
    assert reconstruct(odd, method="fbp").image_hu.shape == (3, 30, 30)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size(sinogram, batch_size):
    with pytest.raises(UsageError, match=f"batch_size is {batch_size}"):
        reconstruct(sinogram, method="fbp", batch_size=batch_size)


def test_a_part_of_a_scan_comes_out_as_in_the_whole(sinogram, prior):
    whole = reconstruct(sinogram, preset="small fast", prior=prior, batch_size=1)
    last = replace(sinogram, values=sinogram.values[2:], headers=())
    projector = make_projector(sinogram.geometry, sinogram.grid)
    part = reconstruct(last, preset="small fast", prior=prior, slice_numbers=[2], projector=projector)
    np.testing.assert_array_equal(part.image_hu[0], whole.image_hu[2])
    assert not np.array_equal(reconstruct(last, preset="small fast", prior=prior).image_hu, part.image_hu)
    with pytest.raises(UsageError, match="2 slice numbers for 1 slices"):
        reconstruct(last, preset="small fast", prior=prior, slice_numbers=[0, 1])


def test_total_variation_of_coarse_pixels_and_many_photons_is_no_checkerboard():
    side = np.arange(64) - 31.5
    inside = side[:, None] ** 2 / 26**2 + side**2 / 20**2 < 1
    water = Volume(np.where(inside, 0.0, -1000.0)[None], np.diag([6, 6, 2, 1]))
    few, many = (simulate(water, n_views=40, size=32, photons=n) for n in (1e5, 1e6))
    core = np.hypot(*np.meshgrid(side[::2] / 18, side[::2] / 24)) < 0.5
    alone = reconstruct(many, method="tv")
    assert alone.residual_ratio[0] > 2 and "too coarse" in alone.doubts[-1]
    assert alone.image_hu[0][core].std() < 10  # 60 where it is fitted to the noise
    both = replace(few, values=np.concatenate([few.values, many.values]), photons=many.photons)
    np.testing.assert_allclose(
        reconstruct(both, method="tv", z_coupling="none").image_hu[1], alone.image_hu[0], atol=0.1
    )
