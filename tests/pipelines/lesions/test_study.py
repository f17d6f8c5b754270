"""Lesions scanned, reconstructed and judged, on slices where the answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.observers import ideal_detectability
from ctresample.operators import Weighted, make_projector
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.lesions import study as module
from ctresample.pipelines.lesions.judge import false_lesions, recovered
from ctresample.pipelines.lesions.plant import plant
from ctresample.pipelines.lesions.rows import LesionRow, SliceRow
from ctresample.pipelines.lesions.study import study_lesions
from ctresample.pipelines.lesions.summary import summarise_lesions
from ctresample.volume import Volume

KINDS = [(8.0, 60.0), (12.0, -30.0)]


def body(patient="P", radius_mm=70.0) -> Volume:
    y, x = (np.mgrid[:80, :80] - 39.5) * 2
    hu = np.where(np.hypot(x, y) < radius_mm, 30.0, -1000.0)
    return Volume(hu[None], np.diag([2.0, 2.0, 3.0, 1.0]), ({"00100020": {"vr": "LO", "Value": [patient]}},))


def test_the_noise_is_the_same_with_and_without():
    condition = Condition(n_views=10, photons=1e5)
    planted = plant(body(), condition, KINDS, size=40)
    assert planted.sinogram.values.shape[:2] == (2, 10)  # both lesions have room in one scan
    assert planted.sinogram.headers == ()
    (group,) = planted.lesions
    added = sum(hu for _, hu in group)
    A = make_projector(planted.sinogram.geometry, planted.sinogram.grid)
    seen = A(torch.from_numpy(added[None, None]) * (planted.sinogram.mu_water_per_mm / 1000))[0, 0].numpy()
    difference = planted.sinogram.values[1] - planted.sinogram.values[0]
    assert np.abs(difference - seen).max() < 0.15 * seen.max()  # but for pixels, half as wide there
    assert difference.sum() == pytest.approx(seen.sum(), rel=0.02, abs=0.02)
    again = plant(body(), condition, KINDS, size=40)
    np.testing.assert_array_equal(again.sinogram.values, planted.sinogram.values)
    assert (
        np.abs(plant(body(), condition, KINDS, size=40, number=1).sinogram.values - planted.sinogram.values).max() > 0
    )


def test_every_lesion_in_every_slice_and_the_ideal_observer():
    volumes = [body("P"), body("Q", 60.0)]
    condition = Condition(n_views=30, photons=1e6)
    rows = list(
        study_lesions(
            volumes,
            runs=[Run("fbp"), Run("cgls")],
            conditions=[condition],
            size=40,
            diameters_mm=[8, 12],
            contrasts_hu=[-30, 60],
        )
    )
    lesions = [row for row in rows if isinstance(row, LesionRow)]
    assert len(lesions) == 2 * 2 * 4
    assert {row.patient for row in lesions} == {0, 1}
    for row in lesions:
        if row.diameter_mm == 12:
            assert 0.6 < row.recovered < 1.2
            assert not row.erased
        wide = [one for one in lesions if (one.slice, one.label) == (row.slice, row.label)]
        stronger = max(wide, key=lambda one: one.detectability)
        assert (stronger.diameter_mm, stronger.contrast_hu) == (12, 60)
    slices = [row for row in rows if isinstance(row, SliceRow)]
    assert len(slices) == 4
    assert not any(row.failure for row in slices)
    made, false = summarise_lesions(rows)
    assert len(made) == 2 * 4
    assert {one.n for one in made} == {2}
    assert all(one.recovered.low <= one.recovered.mean <= one.recovered.high for one in made)
    assert len(false) == 2


def test_what_a_method_erases_is_erased_and_the_misfit_asks_for_it(monkeypatch):
    """A method that shows the slice without lesions whatever it is given."""
    truth = []

    def blind(sinogram, **options):
        result = reconstruct(sinogram, **options)
        return replace(result, image_hu=np.repeat(truth[0][None], len(result.image_hu), axis=0))

    def spy(*words, **options):
        planted = plant(*words, **options)
        truth[:] = [planted.truth_hu]
        return planted

    reconstruct = module.reconstruct
    monkeypatch.setattr(module, "reconstruct", blind)
    monkeypatch.setattr(module, "plant", spy)
    # pixels as fine as the lesions' own, so that little but the noise is in the misfit
    rows = list(
        study_lesions(
            [body()],
            runs=[Run("fbp")],
            conditions=[Condition(n_views=20, photons=2e5)],
            size=80,
            diameters_mm=[12],
            contrasts_hu=[-30, 60],
        )
    )
    clear, *lesions = rows
    assert clear.false_lesions == 0
    assert [row.erased for row in lesions] == [True, True]
    for row in lesions:
        assert row.recovered == 0
        assert 0.6 * row.detectability - 2 < row.misfit_sd < row.detectability + 2  # pixels add to the noise
        assert row.flagged
        assert row.though_told
        assert not row.in_silence
        assert replace(row, flagged=False).in_silence
        assert not replace(row, detectability=3.9).though_told


def test_a_slice_without_room_and_a_method_that_fails_say_so_and_the_rest_goes_on(monkeypatch):
    def fragile(sinogram, **options):
        if options["method"] == "cgls":
            raise RuntimeError("out of memory")
        return reconstruct(sinogram, **options)

    reconstruct = module.reconstruct
    monkeypatch.setattr(module, "reconstruct", fragile)
    air = Volume(np.full((1, 80, 80), -1000.0), np.diag([2.0, 2.0, 3.0, 1.0]))
    rows = list(
        study_lesions(
            [air, body()],
            runs=[Run("cgls"), Run("fbp")],
            size=40,
            conditions=[Condition(n_views=8, photons=1e5)],
            diameters_mm=[8],
            contrasts_hu=[60],
        )
    )
    failures = [row.failure for row in rows if isinstance(row, SliceRow)]
    assert ["no room" in one for one in failures] == [True, True, False, False]
    assert failures[2] == "RuntimeError: out of memory"
    assert [row.label for row in rows if isinstance(row, LesionRow)] == ["fbp"]


def test_recovered_is_the_share_that_fits_best():
    lesion = np.zeros((8, 8))
    lesion[2:5, 2:5] = -30
    noise = np.random.default_rng(0).normal(0, 5, (8, 8))
    assert recovered(noise + 0.4 * lesion, noise, lesion) == pytest.approx(0.4)


def test_false_lesions_are_those_that_stand_out_more_than_in_the_truth():
    truth = body().hu[0]
    assert false_lesions(truth, truth, 2.0) == 0
    image = truth + 100.0  # a level is no lesion
    for row, column, hu in ((30, 30, 90), (50, 50, -90), (30, 50, 20)):
        y, x = np.mgrid[:80, :80]
        image[np.hypot(y - row, x - column) < 3] += hu
    assert false_lesions(image, truth, 2.0) == 2


def test_ideal_detectability_is_the_whitened_norm_by_definition():
    planted = plant(body(), Condition(n_views=10, photons=1e4), KINDS, size=40)
    A = make_projector(planted.sinogram.geometry, planted.sinogram.grid)
    sigma = torch.from_numpy(planted.sinogram.sigma()[:1, None])
    signal = torch.from_numpy(planted.lesions[0][0][1][None, None]) * 1.92e-5
    by_hand = math.sqrt(float(((A(signal) / sigma) ** 2).sum()))
    assert float(ideal_detectability(signal, Weighted(A, 1 / sigma))) == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize(("half_width_hu", "unflagged"), [(35.0, False), (25.0, True), (math.nan, True)])
def test_an_interval_that_reaches_what_is_missing_is_a_flag(half_width_hu, unflagged):
    common = {"condition": "c", "views": 60, "slice": "s", "patient": 0, "method": "resample", "preset": "draft"}
    of_lesion = {"diameter_mm": 8.0, "contrast_hu": -40.0, "row": 1, "column": 1, "detectability": 2.0}
    row = LesionRow(**common, **of_lesion, recovered=0.25, erased=True, misfit_sd=1.0, flagged=False)
    assert replace(row, half_width_hu=half_width_hu).unflagged == unflagged
    assert not replace(row, half_width_hu=half_width_hu, flagged=True).unflagged
