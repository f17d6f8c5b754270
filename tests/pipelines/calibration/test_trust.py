"""What is said of a result: bounds, intervals, warnings and the traffic light."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ctresample.errors import CalibrationError
from ctresample.learned.folders import find_prior, weights_sha256
from ctresample.pipelines.calibration.calibration import Calibration
from ctresample.pipelines.calibration.expected_error import FLOOR_HU, expected_error_hu
from ctresample.pipelines.calibration.find import calibrations_of
from ctresample.pipelines.calibration.judge import Judge
from ctresample.pipelines.calibration.lights import lights_of, overall
from ctresample.pipelines.calibration.slice_rmse import SliceRMSE, slice_figures
from ctresample.pipelines.calibration.trust import Trust, interval_of
from ctresample.pipelines.calibration.typical import FIGURES, Typical, figures_of
from ctresample.pipelines.results.options import ResultOptions
from ctresample.pipelines.results.run import make_result
from ctresample.result import ModelIdentity

from .conftest import by_fbp, known_scans


def judge(sinogram, file=None, **changes):
    same = {"method": "fbp", "preset": "", "model": None, "prior": None, "file": file}
    return Judge.of(sinogram, **(same | changes))


@pytest.fixture(scope="module")
def result(sinogram):
    return by_fbp(sinogram)


@pytest.fixture(scope="module")
def trust(sinogram, result, calibration_file):
    return judge(sinogram, calibration_file).trust(result, coverage=90)


def test_bounds_follow_from_the_expected_error(trust, calibration):
    assert trust.rmse_at_most_hu[0] == pytest.approx(trust.expected_rmse_hu[0] * calibration.rmse.value, rel=1e-4)
    assert trust.psnr_at_least_db[0] == pytest.approx(20 * np.log10(3000 / trust.rmse_at_most_hu[0]))
    assert "at 95 %: PSNR at least" in trust.bounds_in_words
    assert "calibrated on 20 slices of 10 patients" in trust.bounds_in_words
    record = trust.record()
    assert record["interval"]["units"]["fat"] == "10 patients"
    assert record["rmse_at_most_hu"] == list(trust.rmse_at_most_hu)


def test_the_expected_errors_of_a_slice_are_brought_to_its_expected_rmse(sinogram, result, calibration, trust):
    """Files of before have no fit: there it follows from the errors as they are, and intervals from both."""
    before = replace(judge(sinogram), calibrations=(replace(calibration, slice_rmse=None),)).trust(result, coverage=90)
    factor = trust.interval.half_width_hu / before.interval.half_width_hu
    wanted = trust.expected_rmse_hu[0] / before.expected_rmse_hu[0]
    assert wanted != pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(factor, wanted, rtol=1e-3)


def test_a_fit_finds_what_errors_follow():
    figures = np.random.default_rng(0).normal(size=(400, 3))
    found = SliceRMSE.fit(figures, np.exp(3 + figures @ [0.5, 0.2, 0.0]).tolist())
    assert found.intercept == pytest.approx(3, abs=0.01)
    assert found.slopes == pytest.approx((0.5, 0.2, 0.0), abs=0.01)


def test_noise_is_not_taken_for_what_an_image_misses(sinogram, calibration):
    """Of the truth itself only the noise is left; of an empty image all there is."""
    (known,) = known_scans(77, 1, 1).make()
    empty = np.full_like(known.truth_hu, -1000)
    of_truth, of_empty = (slice_figures(sinogram, one, one) for one in (known.truth_hu, empty))
    assert (of_empty[0, 1] - of_truth[0, 1]) > np.log(100)


def test_a_tissue_without_calibration_has_the_widest_interval(calibration, result):
    few = replace(calibration, tissues={name: calibration.tissues[name] for name in ("air", "fat")})
    expected = np.ones_like(result.image_hu)
    found = interval_of(few, result.image_hu, expected, 90)
    widest = max(one.factors[90].value for one in few.tissues.values())
    assert set(found.not_calibrated) >= {"soft tissue", "bone"}
    assert found.half_width_hu[result.image_hu > 0] == pytest.approx(widest)


def test_no_pixel_is_known_exactly():
    image = np.zeros((1, 16, 16), np.float32)
    assert (expected_error_hu(image, image) == FLOOR_HU).all()
    assert expected_error_hu(image, image + 20) == pytest.approx(20 + FLOOR_HU)


def test_without_a_calibration_nothing_is_said_of_errors(sinogram, result):
    trust = judge(sinogram).trust(result, coverage=90)
    assert trust.calibration is trust.interval is trust.bounds_in_words is None
    assert trust.no_interval == "there is no calibration for it; `ctresample calibrate` makes one"
    assert trust.record()["psnr_at_least_db"] == []


def test_a_file_of_other_results_is_refused_before_anything_is_computed(sinogram, calibration_file):
    with pytest.raises(CalibrationError, match="fbp.json is of fbp, 20 views, .*and the result is by tv, not fbp"):
        judge(sinogram, calibration_file, method="tv")
    with pytest.raises(CalibrationError, match="it has 10 views, not 20; expected a calibration of the same prior"):
        judge(sinogram.every(2), calibration_file)


def test_a_file_of_other_settings_is_refused(sinogram, result, calibration_file):
    other = replace(result, settings={"window": "ramp"})
    with pytest.raises(CalibrationError, match="its settings differ in window"):
        judge(sinogram, calibration_file).trust(other)


def test_a_coverage_that_the_file_lacks(sinogram, result, calibration, tmp_path):
    tissues = {
        name: replace(one, factors={k: v for k, v in one.factors.items() if k < 95})
        for name, one in calibration.tissues.items()
    }
    replace(calibration, tissues=tissues).save(tmp_path / "few.json")
    with pytest.raises(CalibrationError, match=r"too few slices \(20\) for 95 %"):
        judge(sinogram, tmp_path / "few.json").trust(result, coverage=95)


# ---------------------------------------------------------------- what is unlike the prior


def typical(n: int = 40) -> tuple[Typical, np.ndarray]:
    figures = np.random.default_rng(0).normal(size=(n, len(FIGURES)))
    return Typical.of(figures, [k // 4 for k in range(n)]), figures


def test_a_slice_is_typical_or_not():
    found, figures = typical()
    assert (found.scores(figures) < found.limit).all()
    for sign in (-1, 1):  # simpler than any is as strange as stranger
        assert found.scores(np.full((1, len(FIGURES)), 5.0 * sign))[0] > found.limit


def test_typical_survives_its_file(calibration, tmp_path):
    found, figures = typical()
    replace(calibration, typical=found).save(tmp_path / "a.json")
    loaded = Calibration.load(tmp_path / "a.json").typical
    assert loaded.scores(figures) == pytest.approx(found.scores(figures), rel=1e-3)


@pytest.mark.parametrize(
    "changes", [{"mean": [0.0]}, {"limit": 0}, {"covariance": [[0.0] * len(FIGURES)] * len(FIGURES)}], ids=str
)
def test_what_is_no_record_of_it(changes):
    found, _ = typical()
    raw = {"mean": found.mean, "covariance": found.covariance, "limit": found.limit}
    with pytest.raises(ValueError, match=r"typical has|not found|limit"):
        Typical.from_json(raw | changes)


def test_figures_do_not_depend_on_the_batch(toy_prior):
    prior = toy_prior.random_prior()
    images = np.random.default_rng(0).uniform(-1000, 1000, (3, 32, 32)).astype(np.float32)
    together, alone = (figures_of(images, prior, batch_size=n) for n in (3, 1))
    assert together.shape == (3, len(FIGURES))
    np.testing.assert_allclose(together, alone, rtol=1e-4)


def test_the_bundled_prior_has_calibrations_of_its_own_weights():
    """Of another prior of the same name they would never fit: after training, calibrate again."""
    found = calibrations_of("ct256")
    assert found
    for one in found:
        assert one.prior == ModelIdentity("ct256", weights_sha256(find_prior("ct256")))
        assert one.n_patients == 10
        assert one.typical is not None


def test_calibrations_that_cannot_be_read_are_told_and_left_out(tmp_path, toy_prior):
    toy_prior.random_prior().save_pretrained(tmp_path / "prior")
    (tmp_path / "prior" / "calibration").mkdir()
    (tmp_path / "prior" / "calibration" / "bad.json").write_text("{}")
    notes = []
    assert calibrations_of(tmp_path / "prior", notes.append) == []
    assert len(notes) == 1


# ---------------------------------------------------------------- the traffic light


def test_the_light_is_the_worst_of_all(result, trust):
    good = replace(result, residual_ratio=(1.0,), doubts=())
    quiet = replace(trust, rmse_at_most_hu=(15.0,))
    assert [one.colour for one in lights_of(good, quiet)] == ["green"] * 4
    assert overall(lights_of(good, quiet)) == "green"
    assert overall(lights_of(good, replace(quiet, rmse_at_most_hu=(50.0,)))) == "yellow"
    assert overall(lights_of(replace(good, residual_ratio=(9.0,)), quiet)) == "red"
    assert overall(lights_of(good, Trust(why_not="none"))) == "yellow"


@pytest.mark.parametrize(
    ("ratio", "doubts", "colour"),
    [(1.0, (), "green"), (2.0, (), "yellow"), (0.3, (), "yellow"), (4.0, (), "red"), (1.0, ("odd",), "yellow")],
)
def test_the_light_of_the_data(result, trust, ratio, doubts, colour):
    assert lights_of(replace(result, residual_ratio=(ratio,), doubts=doubts), trust)[0].colour == colour


def test_the_light_of_the_prior(result):
    learned = replace(result, model=ModelIdentity("ct", "abc"))
    seen, strange = Trust(scores=(2.0,), limit=5.0), Trust(scores=(2.0, 6.0), limit=5.0)
    assert lights_of(result, Trust())[1].colour == "green"  # there is none
    assert lights_of(learned, Trust())[1].colour == "yellow"
    assert lights_of(learned, seen)[1].colour == "green"
    assert lights_of(learned, strange)[1].colour == "red"
    assert seen.warning is None
    assert strange.warning.startswith("1 of 2 slices is unlike anything the prior has seen (slice 2: score 6.0")


def test_the_warning_is_among_the_doubts_and_the_light_is_red(monkeypatch, tmp_path, sinogram):
    monkeypatch.setattr(Judge, "trust", lambda *given, **more: Trust(why_not="none", scores=(9.0,), limit=5.0))
    made = make_result(sinogram, ResultOptions(method="fbp"), tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert any("unlike anything the prior has seen" in doubt for doubt in made.reconstruction.doubts)
    assert record["trust"]["unlike_the_prior"]["slices"] == [1]
    assert "unlike anything the prior has seen" in (tmp_path / "out" / "report.html").read_text()
