"""The command line helps where it can: near names, one verb from images to a result, silence where it is wanted."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

FBP = ("--method", "fbp", "--device", "cpu")


def complaint(done):
    assert done.exit_code in (1, 2), done.output
    return done.stderr.splitlines()[-1]


def test_from_a_folder_of_images_to_a_result(cli, series, tmp_path):
    done = cli("reconstruct", series, "-o", tmp_path / "out", "--views", 12, "--photons", "1e5", "--size", 32, *FBP)
    assert done.exit_code == 0, done.output
    assert "PSNR" in done.stdout
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["scan"]["views"] == 12
    assert record["scan"]["photons"] == 1e5
    assert record["metrics"]["mean"]["psnr_db"] > 10
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Truth" in page
    assert "Doe" not in page


def test_images_without_views_say_what_to_add(cli, series, tmp_path):
    line = complaint(cli("reconstruct", series, "-o", tmp_path / "out", *FBP))
    assert "holds CT images, not a sinogram; add --views" in line
    assert not (tmp_path / "out").exists()


def test_a_scan_of_another_program(cli, tmp_path):
    np.save(tmp_path / "raw.npy", np.zeros((1, 12, 46), np.float32))
    line = complaint(cli("reconstruct", tmp_path / "raw.npy", "-o", tmp_path / "out", *FBP))
    assert "--geometry" in line
    assert "ctresample import" in line
    line = complaint(cli("reconstruct", tmp_path / "raw.npy", "-o", tmp_path / "out", "--views", 12, *FBP))
    assert "holds no CT images; leave --views out" in line


@pytest.mark.parametrize(("option", "value"), [("--views", "12"), ("--photons", "1e5"), ("--series", "1.2.3")])
def test_a_sinogram_states_its_scan(cli, scan, tmp_path, option, value):
    line = complaint(cli("reconstruct", scan, "-o", tmp_path / "out", option, value, *FBP))
    assert f"leave {option} out" in line


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--method", "tv", "--preset", "quality"), "--preset"),
        (("--method", "tv", "--window", "ramp"), "--window"),
        (("--method", "fbp", "--prior", "ct256"), "--prior"),
        (("--method", "cgls", "--view-weights", "equal"), "--view-weights"),
    ],
)
def test_options_without_effect_are_refused(cli, scan, series, tmp_path, words, option):
    for verb in (("reconstruct", scan), ("batch", series, "--views", "12")):
        line = complaint(cli(*verb, "-o", tmp_path / "out", *words))
        assert f"{option} has no effect on {words[1]}" in line


def test_names_in_any_case_and_near_misses(cli, scan, tmp_path):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--method", "FBP", "--window", "Ramp", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out" / "run.json").read_text())["method"] == "fbp"
    line = complaint(cli("reconstruct", scan, "-o", tmp_path / "other", "--method", "resampel"))
    assert "did you mean resample?" in line
    line = complaint(cli("benchmark", scan.parent, "-o", tmp_path / "b", "--methods", "fbp,tvv"))
    assert "did you mean tv?" in line


def test_quiet_leaves_the_answer(cli, scan, tmp_path):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", *FBP, "--quiet")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert "by fbp" in done.stdout
    again = cli("reconstruct", scan, "-o", tmp_path / "again", *FBP)
    assert "fbp, 3 slices" in again.stderr  # one quiet command does not silence the next


def test_a_scan_without_noise_says_so(cli, series, tmp_path):
    done = cli("simulate", series, "-o", tmp_path / "scan.h5", "--views", 5, "--size", 32)
    assert "no noise at all (--photons" in done.stdout


def test_info_knows_results(cli, scan, series, tmp_path):
    out = tmp_path / "out"
    assert cli("reconstruct", scan, "-o", out, "--against", series, *FBP, "--residual-map").exit_code == 0
    for place in (out, out / "run.json"):
        told = json.loads(cli("info", place, "--json").stdout)
        assert told["kind"] == "result of a reconstruction"
        assert told["method"] == "fbp"
        assert told["scan"] == "parallel, 12 views"
        assert told["against the truth"].startswith("PSNR ")
        assert told["residual map"].startswith("RMS ")
        assert "report.html" in told["beside it"]
    (out / "run.json").write_text("[]")
    assert "expected the record of a reconstruction" in complaint(cli("info", out))


def test_python_m():
    done = subprocess.run([sys.executable, "-m", "ctresample", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ctresample ")


def test_the_tab_key_offers_methods():
    typed = {"COMP_WORDS": "ctresample reconstruct --method r", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", "from ctresample.cli import main; main()"],
        capture_output=True,
        text=True,
        env={**os.environ, **typed, "_CTRESAMPLE_COMPLETE": "complete_bash"},
    )
    assert done.stdout.split() == ["resample"]
