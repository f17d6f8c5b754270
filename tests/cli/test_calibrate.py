"""Calibrate on scans with a truth, then reconstruct with intervals and bounds."""

import json

import numpy as np
import pytest
from pydicom import dcmread

from ctresample.data_tools.dicom.read import read_ct_series

FBP = ("--method", "fbp", "--device", "cpu")
SCAN = ("--views", 16, "--photons", "1e4", "--size", 32)


@pytest.fixture(scope="module")
def patients(tmp_path_factory, make_series):
    """Ten patients of two slices each."""
    folder = tmp_path_factory.mktemp("patients")
    for number in range(10):
        for path in make_series(folder / str(number), n=2, series=str(number + 1)).iterdir():
            ds = dcmread(path)
            ds.PatientID = f"P{number}"
            noise = np.random.default_rng(number).normal(0, 15, ds.pixel_array.shape)
            ds.PixelData = (ds.pixel_array + noise).clip(0).astype("<i2").tobytes()
            ds.save_as(path)
    return folder


@pytest.fixture(scope="module")
def calibration(tmp_path_factory, patients, cli):
    path = tmp_path_factory.mktemp("calibration") / "fbp.json"
    done = cli("calibrate", patients, "-o", path, *SCAN, *FBP, "--slices", 2)
    assert done.exit_code == 0, done.output
    assert "from 20 slices of 10 patients" in done.stdout
    return path


def test_the_file_names_no_patient(calibration):
    raw = json.loads(calibration.read_text())
    assert raw["n_patients"] == 10
    assert "P1" not in calibration.read_text()


def simulated(cli, source, place, views=16, photons="1e4"):
    done = cli("simulate", source, "-o", place, "--views", views, "--photons", photons, "--size", 32, "--seed", 5)
    assert done.exit_code == 0, done.output
    return place


def test_intervals_and_bounds(cli, series, calibration, tmp_path):
    scan = simulated(cli, series, tmp_path / "scan.h5")
    out = tmp_path / "out"
    done = cli(
        *("reconstruct", scan, "-o", out, *FBP, "--interval", 90, "--calibration", calibration, "--against", series)
    )
    assert done.exit_code == 0, done.output
    assert "without a truth, at 95 %: PSNR at least" in done.stdout
    assert "90 % intervals, mean half-width" in done.stdout
    image, lower, upper, half = (
        read_ct_series(out / name).hu for name in ("dicom", "dicom-lower", "dicom-upper", "dicom-half-width")
    )
    np.testing.assert_allclose(image - lower, half, atol=1.1)
    np.testing.assert_allclose(upper - image, half, atol=1.1)
    trust = json.loads((out / "run.json").read_text())["trust"]
    assert trust["interval"]["percent"] == 90
    assert len(trust["psnr_at_least_db"]) == 3
    assert trust["light"] in ("green", "yellow", "red")
    assert [one["question"] for one in trust["lights"]][1] == "Has the prior seen the like?"
    page = (out / "report.html").read_text()
    assert "How far to trust this image" in page
    assert "lower 90 %" in page
    assert "half-width map" in page


def test_a_scan_outside_gets_none_and_one_line(cli, scan, tmp_path):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", *FBP, "--interval", 90)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("no interval: there is no calibration for it") == 1
    assert not (tmp_path / "out" / "dicom-lower").exists()
    assert (tmp_path / "out" / "dicom").is_dir()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--views", 8), "it has 8 views, not 16"),
        (("--method", "tv"), "the result is by tv, not fbp"),
        (("--window", "ramp"), "its settings differ in window"),
        (("--interval", 50), "interval is 50; expected one of 68, 80, 90, 95"),
    ],
    ids=str,
)
def test_a_calibration_of_other_results_is_refused(cli, series, calibration, tmp_path, words, complaint):
    base = {"--views": 16, "--photons": "1e4", "--method": "fbp"} | {words[0]: words[1]}
    scan = simulated(cli, series, tmp_path / "scan.h5", views=base.pop("--views"))
    base.pop("--photons")
    given = [word for pair in base.items() for word in pair]
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--calibration", calibration, "--device", "cpu", *given)
    assert done.exit_code in (1, 2)
    assert complaint in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_calibration(cli, scan, tmp_path):
    (tmp_path / "a.json").write_text("{}")
    done = cli("reconstruct", scan, "-o", tmp_path / "out", *FBP, "--calibration", tmp_path / "a.json")
    assert done.exit_code == 1
    assert "a.json cannot be used as a calibration" in done.stderr.strip().splitlines()[-1]


def test_a_fit_that_cannot_be_is_refused(cli, series, calibration, tmp_path):
    raw = json.loads(calibration.read_text())
    raw["slice_rmse"]["intercept"] = -20  # no HU would be expected to be wrong at all
    (tmp_path / "a.json").write_text(json.dumps(raw))
    scan = simulated(cli, series, tmp_path / "scan.h5")
    done = cli("reconstruct", scan, "-o", tmp_path / "out", *FBP, "--calibration", tmp_path / "a.json")
    assert done.exit_code == 1
    assert "a.json cannot be used: its calibration would expect an error of" in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_too_few_patients_are_refused(cli, series, tmp_path):
    done = cli("calibrate", series, "-o", tmp_path / "a.json", *SCAN, *FBP)
    assert done.exit_code == 1
    assert "3 slice(s) are too few to calibrate on; expected" in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "a.json").exists()


def test_sinograms_with_their_truths(cli, patients, tmp_path):
    """As with CT images; and a sinogram whose images are not there is named."""
    scans = tmp_path / "scans"
    scans.mkdir()
    for number in range(9):
        simulated(cli, patients / str(number), scans / f"{number}.h5")
    made = cli("calibrate", scans, "-o", tmp_path / "a.json", *FBP, "--against", patients, "--z-coupling", "none")
    assert made.exit_code == 0, made.output
    assert json.loads((tmp_path / "a.json").read_text())["n_slices"] == 18
    refused = cli("calibrate", scans, "-o", tmp_path / "b.json", *FBP, "--against", patients / "0")
    assert refused.exit_code == 1
    assert "1.h5 has no truth in" in refused.stderr.strip().splitlines()[-1]
    unused = cli("calibrate", scans, "-o", tmp_path / "b.json", *FBP, "--against", patients, "--photons", "1e5")
    assert unused.exit_code == 2
    assert "--photons is of CT images" in unused.stderr
    assert not (tmp_path / "b.json").exists()
