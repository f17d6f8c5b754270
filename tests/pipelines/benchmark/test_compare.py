"""Scanning known slices, reconstructing and scoring them."""

import weakref
from dataclasses import asdict, replace

import numpy as np
import pytest

from ctresample.errors import PriorError, UsageError
from ctresample.metrics import region_masks
from ctresample.pipelines.benchmark import compare as module
from ctresample.pipelines.benchmark import trial
from ctresample.pipelines.benchmark.compare import Cell, compare, patient_numbers
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.runs import Run, runs_of
from ctresample.regrid import to_square_grid
from ctresample.solvers.resample import PRESETS
from ctresample.volume import Volume

FBP, CGLS = Run("fbp"), Run("cgls")


def disk(radius: float = 10, pixel_mm: float = 8.0, hu: float = 0.0, air: float = -1000.0, patient="P") -> Volume:
    """One 32 x 32 slice with a disk in it."""
    y, x = np.mgrid[:32, :32] - 15.5
    image = np.where(np.hypot(x, y) < radius, hu, air).astype(np.float32)
    affine = np.diag([pixel_mm, pixel_mm, 2.0, 1.0])
    affine[:3, 3] = -100, -90, radius
    header = {"00080018": {"vr": "UI", "Value": [f"1.2.{radius}"]}, "00100020": {"vr": "LO", "Value": [patient]}}
    return Volume(image[None], affine, (header,))


def run(volumes, runs=(FBP,), views=(9,), **options):
    options = {"size": 16, "conditions": [Condition(n_views=n, photons=1e4) for n in views]} | options
    return list(compare(volumes, runs=runs, **options))


def images(outcomes):
    return {outcome.cell: outcome.image.hu[0] for outcome in outcomes}


def test_every_slice_run_view_and_draw():
    volumes = [disk(10), disk(11, pixel_mm=9, patient="Q"), disk(12)]
    outcomes = run(volumes, (FBP, CGLS), (7, 9), seeds=(3, 4))
    found = {outcome.cell for outcome in outcomes}
    assert len(outcomes) == len(found) == 24
    for outcome in outcomes:
        source = to_square_grid(volumes[outcome.cell.index], 16)
        row, image, truth = outcome.row, outcome.image.hu[0], source.hu[0]
        assert row.slice == f"slice-00{outcome.cell.index + 1}"
        assert row.patient == (outcome.cell.index == 1)
        assert (row.seed, row.condition) == (outcome.cell.seed, outcome.cell.condition)
        assert f"{row.views} views, parallel" in row.condition
        assert outcome.image.headers == source.headers
        np.testing.assert_array_equal(outcome.image.affine, source.affine)
        np.testing.assert_array_equal(outcome.truth_hu, truth)
        errors = image.astype(float) - truth
        assert row.rmse_hu == pytest.approx(np.sqrt(np.mean(errors**2)))
        assert row.mae_hu == pytest.approx(np.abs(errors).mean())
        for region, mask in region_masks(truth).items():
            assert getattr(row, f"{region}_rmse_hu") == pytest.approx(np.sqrt(np.mean(errors[mask] ** 2)))
            assert getattr(row, f"{region}_mae_hu") == pytest.approx(np.abs(errors[mask]).mean())
        # the two parts sum to the error and lean the same way
        parts, cross = (row.measured_rmse_hu, row.invented_rmse_hu), row.measured_rmse_hu * row.invented_rmse_hu
        assert min(parts) > 0
        assert -1e-3 <= row.rmse_hu**2 - parts[0] ** 2 - parts[1] ** 2 <= 2.001 * cross
        assert row.residual_ratio > 0
        assert row.seconds > 0
        assert row.projections >= 1
        assert row.denoiser_calls == 0
        assert row.failure == ""


def test_draws_and_conditions_have_their_own_noise_and_methods_the_same(monkeypatch):
    seen = {}

    def spy(sinogram, **options):
        seen.setdefault(options["method"], []).append(sinogram.values.copy())
        return reconstruct(sinogram, **options)

    reconstruct = trial.reconstruct
    monkeypatch.setattr(trial, "reconstruct", spy)
    run([disk(), disk()], (FBP, CGLS), seeds=(0, 1))
    np.testing.assert_array_equal(seen["fbp"], seen["cgls"])
    first, second = seen["fbp"]
    assert np.abs(first - second).max() > 1e-3
    assert np.abs(first[0] - first[1]).max() > 1e-3  # equal slices


def test_results_depend_neither_on_the_batch_nor_on_what_else_is_wanted():
    volumes = [disk(9), disk(10), disk(11), disk(12)]
    whole = images(run(volumes, (CGLS,)))
    alone = images(run(volumes, (CGLS,), batch_size=1))
    some = images(run(volumes, (Run("cgls", max_slices=2),), batch_size=1))
    fewer = images(run(volumes[:3], (CGLS,), batch_size=1))
    assert {cell.index for cell in some} == {1, 3}
    for other in (alone, some, fewer):
        for cell, image in other.items():
            np.testing.assert_allclose(image, whole[cell], atol=3e-2)


def test_what_is_done_is_left_out_by_whole_batches(monkeypatch):
    volumes = [disk(9), disk(10), disk(11)]
    reconstructed = []

    def spy(sinogram, **options):
        reconstructed.append(options["slice_numbers"])
        return reconstruct(sinogram, **options)

    reconstruct = trial.reconstruct
    monkeypatch.setattr(trial, "reconstruct", spy)
    whole = images(run(volumes, batch_size=2))
    cells = [Cell(Condition(n_views=9, photons=1e4).name, 0, index, "fbp") for index in range(3)]
    assert set(whole) == set(cells)
    reconstructed.clear()
    found = images(run(volumes, batch_size=2, done=set(cells[1:])))
    assert reconstructed == [[0, 1]]
    assert list(found) == cells[:1]
    np.testing.assert_array_equal(found[cells[0]], whole[cells[0]])
    assert run(volumes, batch_size=2, done=set(cells)) == []


def test_a_slice_that_fails_says_why_and_the_rest_goes_on(monkeypatch):
    def fragile(sinogram, **options):
        if options["method"] == "cgls" and 1 in options["slice_numbers"]:
            raise PriorError("resample diverged\nat step 3")
        return reconstruct(sinogram, **options)

    reconstruct = trial.reconstruct
    monkeypatch.setattr(trial, "reconstruct", fragile)
    outcomes = run([disk(9), disk(10), disk(11)], (CGLS, FBP))
    failed = [outcome for outcome in outcomes if outcome.image is None]
    assert [(o.cell.index, o.cell.label, o.row.failure) for o in failed] == [
        (1, "cgls", "PriorError: resample diverged at step 3")
    ]
    assert np.isnan(failed[0].row.psnr_db)
    assert len(outcomes) == 6
    assert all(np.isfinite(outcome.row.psnr_db) for outcome in outcomes if outcome.image is not None)


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])  # torch's and NumPy's
def test_one_by_one_nothing_is_left_in_memory_of_the_batch_that_failed(monkeypatch, error):
    """Or what was too much for the memory at once would stay too much."""
    left = []

    def greedy(sinogram, **options):
        if len(options["slice_numbers"]) > 1:
            taken = np.zeros(10)
            left.append(weakref.ref(taken))
            raise error("out of memory")
        assert left[0]() is None
        return reconstruct(sinogram, **options)

    reconstruct = trial.reconstruct
    monkeypatch.setattr(trial, "reconstruct", greedy)
    assert [outcome.row.failure for outcome in run([disk(9), disk(10)])] == ["", ""]
    assert len(left) == 1


def test_an_image_that_is_no_number_is_a_failure(monkeypatch):
    def broken(sinogram, **options):
        result = reconstruct(sinogram, **options)
        result.image_hu[0, 0, 0] = np.nan
        return result

    reconstruct = trial.reconstruct
    monkeypatch.setattr(trial, "reconstruct", broken)
    (outcome,) = run([disk()])
    assert "not finite" in outcome.row.failure


def test_learned_methods_count_and_are_checked(toy_prior):
    prior = toy_prior.random_prior()
    resample = Run("resample", "fast")
    for models, size, error in (({}, 32, UsageError), ({"latent prior": prior}, 30, PriorError)):
        with pytest.raises(error):
            run([disk()], (resample,), size=size, models=models)
    (outcome,) = run([disk()], (resample,), size=32, models={"latent prior": prior})
    assert outcome.row.denoiser_calls >= 1
    assert outcome.row.decoder_calls >= 1
    assert outcome.row.back_projections > 10


def test_patients_are_numbers():
    volumes = [disk(patient="A"), disk(patient="B"), disk(patient="A")]
    assert patient_numbers(volumes) == [0, 1, 0]
    assert patient_numbers([Volume(v.hu, v.affine) for v in volumes]) == [0, 0, 0]


def test_what_lies_below_air_is_air():
    (padded,), (plain,) = run([disk(air=-2048)]), run([disk()])
    # the disk's edge pixels are means of both values, so only what is all air agrees
    assert padded.truth_hu.min() == plain.truth_hu.min() == -1000


def test_slices_of_one_geometry_share_a_scan(monkeypatch):
    scans = []

    def spy(self, volume, *, seed):
        scans.append((len(volume.hu), seed))
        return scan(self, volume, seed=seed)

    scan = Condition.scan
    monkeypatch.setattr(Condition, "scan", spy)
    monkeypatch.setattr(module, "GROUP", 2)
    run([disk(9), disk(10, pixel_mm=9), disk(11), disk(12)])
    assert [count for count, _ in scans] == [2, 1, 1]
    assert scans[0][1] == 0
    assert len({seed for _, seed in scans}) == 3  # or two slices would have the same noise


def test_progress_never_goes_back():
    told = []
    run([disk(9), disk(10, pixel_mm=9)], (FBP, CGLS), progress=lambda fraction, step: told.append((fraction, step)))
    fractions = [fraction for fraction, _ in told]
    assert fractions[0] == 0
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert told[-1][1] == "cgls, 2 slices, 9 views, parallel, 10,000 photons a ray"


def test_volumes_of_several_slices_are_refused():
    volume = disk()
    with pytest.raises(UsageError, match="one by one"):
        run([Volume(np.repeat(volume.hu, 2, axis=0), volume.affine)])


def test_runs_of():
    assert runs_of(["fbp", "resample", "fbp"], ["fast", "paper"]) == [
        FBP,
        Run("resample", "fast"),
        Run("resample", "paper"),
    ]
    assert [one.label for one in runs_of(["tv", "resample"])] == ["tv", "resample fast"]
    assert all(one.cost > 0 for one in runs_of(["resample", "fbp", "sirt", "cgls", "tv"], ["fast", "paper"]))
    for methods, presets in ((["art"], ["fast"]), (["tv"], ["slow"])):
        with pytest.raises(UsageError, match="expected one of"):
            runs_of(methods, presets)


@pytest.mark.parametrize(
    "chosen", [Run("resample", "fast"), Run("resample", "mine", PRESETS["quality"])], ids=lambda run: run.label
)
def test_no_slice_shares_its_noise_with_another(monkeypatch, toy_prior, chosen):
    """A volume's slices do, but here errors of slices must be independent."""
    given = []

    def spy(sinogram, **options):
        given.append(options["settings"])
        raise PriorError("enough")

    monkeypatch.setattr(trial, "reconstruct", spy)
    run([disk(9), disk(10)], (chosen,), models={"latent prior": toy_prior.random_prior()})
    preset = PRESETS["fast" if chosen.preset == "fast" else "quality"]
    assert preset.coupled
    assert set(given) == {replace(preset, coupled=False)}
    assert chosen.all_settings() == asdict(given[0])


def test_numbers_of_slices_are_limited_by_name():
    runs = runs_of(["tv", "resample"], ["fast", "paper"], {"paper": 2, "tv": 5})
    assert [(one.label, one.max_slices) for one in runs] == [("tv", 5), ("resample fast", None), ("resample paper", 2)]
    assert [one.slices(6) for one in runs] == [[0, 1, 3, 4, 5], [0, 1, 2, 3, 4, 5], [1, 4]]
    assert Run("tv", max_slices=9).slices(2) == [0, 1]
    with pytest.raises(UsageError, match="'dps' is limited, but it does not run"):
        runs_of(["tv"], max_slices={"dps": 2})
