"""Calibrations: what they learn, what they keep, and which results they are for."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from ctresample.errors import CalibrationError
from ctresample.metrics import rmse_hu
from ctresample.pipelines.calibration.calibration import Calibration
from ctresample.pipelines.calibration.judge import Judge
from ctresample.pipelines.calibration.known import Known, KnownScans, check_truth, joined
from ctresample.pipelines.calibration.make import Seen, calibration_of, make_calibration
from ctresample.pipelines.calibration.scan_kind import ScanKind
from ctresample.pipelines.calibration.tissues import TISSUES, tissue_numbers
from ctresample.pipelines.scan.scan import Scan
from ctresample.result import ModelIdentity
from ctresample.volume import Volume

from .conftest import SCAN, by_fbp, known_scans


def test_tissues_have_every_value():
    hu = np.array([-1100, -900, -899, -500, -190, -100, -30, 40, 150, 3000], np.float32)
    assert [TISSUES[k] for k in tissue_numbers(hu)] == [
        *("air", "lung", "lung", "edges of air", "fat", "fat", "soft tissue", "soft tissue", "bone", "bone")
    ]


def test_what_it_learns(calibration):
    assert (calibration.n_patients, calibration.n_slices) == (10, 20)
    soft = calibration.tissues["soft tissue"].factors
    assert (soft[90].unit, soft[90].n) == ("patients", 10)
    assert (soft[95].unit, soft[95].n) == ("slices", 20)  # 95 % needs 19 units, and there are 10 patients
    assert soft[68].value < soft[80].value < soft[90].value < soft[95].value
    assert calibration.rmse.unit == "slices"
    assert calibration.typical is None  # there is no prior


def test_a_file_keeps_it_all(calibration, calibration_file):
    loaded = Calibration.load(calibration_file)
    assert loaded.scan.difference(calibration.scan) is None
    assert loaded.scan.words == calibration.scan.words
    assert json.loads(json.dumps(loaded.settings)) == json.loads(json.dumps(calibration.settings))
    for name, own in calibration.tissues.items():
        assert loaded.tissues[name].rms == pytest.approx(own.rms, rel=1e-5)
        assert loaded.tissues[name].factors.keys() == own.factors.keys()
    assert loaded.rmse.value == pytest.approx(calibration.rmse.value, rel=1e-5)
    assert calibration_file.stat().st_size < 10_000


def spoil(raw: dict, *places, value=None):
    inner = raw
    for place in places[:-1]:
        inner = inner[place]
    inner[places[-1]] = value


@pytest.mark.parametrize(
    ("places", "value"),
    [
        (("format",), "other"),
        (("scan",), {}),
        (("scan", "photons"), [1]),
        (("scan", "pixel_size_mm"), [1, float("inf")]),
        (("tissues", "fat", "rms"), -1),
        (("tissues", "fat", "factors", "90", "value"), "wide"),
        (("rmse", "value"), 0),
        (("slice_rmse", "slopes"), [1.0]),
        (("slice_rmse", "intercept"), float("inf")),
        (("settings",), None),
        (("prior",), 3),
        (("n_patients",), -1),
        (("tissues",), {}),
        (("tissues", "soft tissue", "factors"), {}),
        (("tissues", "soft tissue", "rms"), 1e308),
        (("tissues", "soft tissue", "factors", "90", "unit"), "x"),
        (("rmse", "n"), 1.5),
        (("scan", "pixel_size_mm"), [2.0, 1.0]),
        (("scan", "lengths_mm"), {}),
        (("scan", "simulated"), "no"),
    ],
    ids=str,
)
def test_files_that_are_none(calibration_file, tmp_path, places, value):
    raw = json.loads(calibration_file.read_text())
    spoil(raw, *places, value=value)
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(raw))
    with pytest.raises(CalibrationError, match="cannot be used as a calibration.*expected a file that") as error:
        Calibration.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"{"])
def test_files_of_something_else(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(CalibrationError, match="cannot be used as a calibration"):
        Calibration.load(tmp_path / "a.json")
    with pytest.raises(CalibrationError, match="No such file"):
        Calibration.load(tmp_path / "none.json")


@pytest.mark.parametrize("figures_tell", [True, False])
def test_a_fit_is_kept_where_it_makes_the_bound_tighter(calibration, figures_tell):
    """Errors of 20 to 80 HU, which either the figures of a slice tell or its expected errors do."""
    generator, seen, image = np.random.default_rng(0), Seen(), np.zeros((1, 20, 20), np.float32)
    for k in range(30):
        level_hu = generator.uniform(20, 80)
        figures = np.tile(np.log(level_hu), (1, 3)) if figures_tell else generator.normal(size=(1, 3))
        expected = np.full_like(image, 50 if figures_tell else level_hu)
        truth = generator.normal(0, level_hu, image.shape).astype(np.float32)
        seen.add(image, truth, expected, str(k // 3), figures)
    made = calibration_of(seen, calibration.scan, by_fbp(next(known_scans(0, 1, 1).make()).sinogram))
    assert (made.slice_rmse is not None) == figures_tell
    assert made.rmse.value < 1.2  # the other way 1.4 and more


def kind_of(**changes) -> ScanKind:
    (known,) = known_scans(5, 1, 1, replace(SCAN, **changes)).make()
    return ScanKind.of(known.sinogram)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, None),
        ({"photons": 1.1e4}, None),
        ({"photons": 1e5}, "it has 1e\\+05 photons a ray .*not 1e\\+04 photons"),
        ({"photons": None}, "it has no noise"),
        ({"electronic_noise": 5.0}, "a read-out noise of 5"),
        ({"n_views": 21}, "it has 21 views, not 20"),
        ({"beam": "fan"}, "it is a fan beam, not parallel"),
        ({"arc_rad": 2.5}, "views are up to .* apart, not 9°"),
        ({"size": 32}, "its image has 32 x 32 pixels, not 64 x 64"),
        ({"detector_offset_mm": 20.0}, "detector_offset_mm is 20, not 0"),
    ],
    ids=str,
)
def test_kinds_of_scan(calibration, changes, complaint):
    difference = calibration.scan.difference(kind_of(**changes))
    assert (difference is None) == (complaint is None)
    assert complaint is None or re.search(complaint, difference), difference


def test_a_measured_scan_is_of_another_kind(calibration, sinogram):
    measured = ScanKind.of(replace(sinogram, origin="measured"))
    assert calibration.scan.difference(measured) == "it was measured, not simulated from images"


def test_other_pixels(calibration, sinogram):
    kind = ScanKind.of(sinogram)
    half = replace(kind, pixel_size_mm=(2.5, 2.5))
    assert calibration.scan.difference(half) == "its pixels have 2.5 mm, not 5 to 5 mm"
    assert calibration.scan.difference(half, any_pixels=True) is None


def test_scans_that_none_is_of(sinogram):
    with pytest.raises(CalibrationError, match="different angles"):
        ScanKind.of(SCAN.__class__(n_views=20, size=32, stagger=2).scan(Volume(np.zeros((2, 32, 32)), np.eye(4))))
    bad = np.zeros(sinogram.values.shape, bool)
    bad[0, 0, 0] = True
    with pytest.raises(CalibrationError, match="some of its rays are not known"):
        ScanKind.of(replace(sinogram, bad_rays=bad))


def why_not(calibration, **changes):
    same = {"method": "fbp", "preset": "", "prior": None, "scan": calibration.scan, "settings": calibration.settings}
    return calibration.why_not(**(same | changes))


def test_which_results_it_is_for(calibration):
    assert why_not(calibration) is None
    assert why_not(calibration, method="tv") == "the result is by tv, not fbp"
    assert why_not(calibration, settings={"window": "ramp"}) == "its settings differ in window"
    assert "z-coupling none" in why_not(calibration, settings={**calibration.settings, "z_coupling": 1.0})
    with_prior = replace(calibration, prior=ModelIdentity("ct", "abc"))
    assert why_not(with_prior, prior=ModelIdentity("ct", "abc")) is None
    assert why_not(with_prior, prior=ModelIdentity("renamed", "abc")) is None  # the weights are what counts
    found = why_not(with_prior, prior=ModelIdentity("ct", "def"))
    assert found == "the result is with prior ct (SHA-256 def), not prior ct (SHA-256 abc)"
    assert why_not(with_prior, prior=None) == "the result is with no learned model, not prior ct (SHA-256 abc)"


def test_few_patients_leave_slices_as_the_unit():
    made = make_calibration(known_scans(3, 2, per_patient=5), by_fbp, model=None)
    factors = made.tissues["soft tissue"].factors
    assert (factors[90].unit, factors[90].n) == ("slices", 10)
    assert 95 not in factors
    assert made.rmse is None


@pytest.mark.slow
def test_slices_of_a_patient_are_reconstructed_together(calibration):
    sizes = []

    def noted(sinogram, first):
        sizes.append(sinogram.n_slices)
        return by_fbp(sinogram)

    scans = replace(known_scans(0, 10), slice_by_slice=True)
    together = make_calibration(scans, noted, model=None)
    assert sizes == [2] * 10
    assert together.n_slices == calibration.n_slices
    assert together.rmse.value == pytest.approx(calibration.rmse.value, rel=1e-3)
    for name, one in calibration.tissues.items():
        assert together.tissues[name].factors[90].value == pytest.approx(one.factors[90].value, rel=1e-3)


def test_only_slices_of_the_same_scan_are_joined():
    (a,), (b,) = (known_scans(seed, 1, 1).make() for seed in (5, 6))
    (other,) = known_scans(7, 1, 1, replace(SCAN, photons=2e4)).make()
    known = [a, b, a, other, replace(other, patient="another")]
    found = list(joined(known, most=2))
    assert [one.sinogram.n_slices for one in found] == [2, 1, 1, 1]
    assert (found[0].truth_hu == np.concatenate([a.truth_hu, b.truth_hu])).all()


def test_what_cannot_be_calibrated_on():
    with pytest.raises(CalibrationError, match=r"4 slice\(s\) of 2 patient\(s\) are too few.*slices of 9 patients"):
        make_calibration(known_scans(0, 2), by_fbp, model=None)
    with pytest.raises(CalibrationError, match=r"0 slice\(s\)"):
        make_calibration(KnownScans(0, lambda: iter(())), by_fbp, model=None)

    def mixed():
        yield from known_scans(0, 1, 1).make()
        yield from known_scans(0, 1, 1, Scan(n_views=30, size=64, photons=1e4)).make()

    with pytest.raises(CalibrationError, match="scan 2 is of another kind than the first: it has 30 views, not 20"):
        make_calibration(KnownScans(2, mixed), by_fbp, model=None)


def test_a_truth_of_another_slice_is_refused(sinogram):
    (right,), (wrong,) = (known_scans(seed, 1, 1).make() for seed in (77, 78))
    check_truth(right)
    with pytest.raises(CalibrationError, match="the image of slice 1 is not what was scanned: its scan is .* away"):
        check_truth(Known(sinogram, wrong.truth_hu, ""))


def test_the_bound_of_rmse_is_above_nearly_all(calibration):
    held, tightness = [], []
    for known in known_scans(100, 6, 2).make():
        judge = Judge.of(known.sinogram, method="fbp", preset="", model=None, prior=None)
        judge = replace(judge, calibrations=(calibration,))
        result = by_fbp(known.sinogram)
        trust = judge.trust(result, coverage=90)
        true = rmse_hu(result.image_hu[0], known.truth_hu[0])
        held.append(true <= trust.rmse_at_most_hu[0])
        tightness.append(trust.rmse_at_most_hu[0] / true)
        covered = np.abs(result.image_hu - known.truth_hu) <= trust.interval.half_width_hu
        assert 0.8 < covered.mean() < 0.98
    assert np.mean(held) > 0.9
    assert np.mean(tightness) < 1.3
