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
    assert "Jane" not in page


def test_an_earlier_result_is_replaced_where_one_asks_for_it(cli, scan, tmp_path):
    command = ("reconstruct", scan, "-o", tmp_path / "out", *FBP)
    assert cli(*command).exit_code == 0
    assert complaint(cli(*command)).endswith("choose a new folder, or add --overwrite")
    done = cli(*command, "--format", "nifti", "--overwrite")
    assert done.exit_code == 0, done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"reconstruction.nii.gz", "report.html", "run.json"}
    done = cli("batch", tmp_path, "-o", tmp_path / "many", "--views", 12, "--overwrite")
    assert "--overwrite has no effect on batch" in complaint(done)


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


def test_a_value_that_is_no_number_is_named(cli, series, tmp_path):
    for value in ("abc", "0"):
        line = complaint(cli("reconstruct", series, "-o", tmp_path / "out", "--views", value, *FBP))
        assert "--views" in line
        assert f"found '{value}'" in line


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


@pytest.mark.parametrize(
    ("words", "complaint_"),
    [
        (("--preset", "quality"), "--preset has no effect on fbp"),
        (("--prior", "ct256"), "--prior has no effect on fbp"),
        (("--pixel-prior", "mine"), "--pixel-prior has no effect on fbp"),
        (("--fbp-unet", "mine"), "--fbp-unet has no effect on fbp"),
        (("--draws", "2"), "every draw would be the same"),
    ],
)
def test_a_benchmark_refuses_options_without_effect(cli, series, tmp_path, words, complaint_):
    line = complaint(cli("benchmark", series, "-o", tmp_path / "out", "--methods", "fbp", *words))
    assert complaint_ in line
    assert not (tmp_path / "out").exists()


def test_series_that_are_no_even_stacks(cli, make_series, scan, tmp_path):
    gappy = make_series(tmp_path / "gappy", n=5)
    (gappy / "1-002.dcm").unlink()
    words = ("-o", tmp_path / "out", "--views", 12, "--size", 32, *FBP)
    assert "--allow-gaps" in complaint(cli("reconstruct", gappy, *words))
    done = cli("reconstruct", gappy, *words, "--allow-gaps")
    assert done.exit_code == 0, done.output
    line = complaint(cli("reconstruct", scan, "-o", tmp_path / "other", "--allow-gaps", *FBP))
    assert "leave --allow-gaps out" in line


def test_a_message_says_where_an_option_is_that_the_verb_lacks(cli, scan, tmp_path):
    line = complaint(cli("demo", "-o", tmp_path / "out", "--views", 10))
    assert "--views is an option of simulate, reconstruct, " in line
    line = complaint(cli("reconstruct", scan, "-o", tmp_path / "out", "--rebin", *FBP))
    assert "--rebin makes fan beams of helical scans" in line
    assert "is an option of" not in line  # it has it itself


def test_a_scan_that_no_machine_holds(cli, series, tmp_path):
    for option, value in (("--size", 100_000), ("--views", 100_000_000)):
        done = cli("simulate", series, "-o", tmp_path / "scan.h5", option, value)
        assert "this machine has" in complaint(done)
    assert not (tmp_path / "scan.h5").exists()


def test_views_have_one_default(cli, series, tmp_path):
    assert cli("simulate", series, "-o", tmp_path / "scan.h5", "--size", 32).exit_code == 0
    told = json.loads(cli("info", tmp_path / "scan.h5", "--json").stdout)
    assert told["views"].startswith("25,")
    for verb in ("simulate", "batch", "benchmark"):
        assert "25" in cli(verb, "--help").stdout.partition("--views ")[2].partition("--")[0]


def test_answers_for_programs(cli):
    found = json.loads(cli("doctor", "--json").stdout)
    assert {"name", "state", "detail"} == found[0].keys()
    assert "Python" in {one["name"] for one in found}


def test_names_in_any_case_and_near_misses(cli, scan, tmp_path):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--method", "FBP", "--window", "Ramp", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out" / "run.json").read_text())["method"] == "fbp"
    line = complaint(cli("reconstruct", scan, "-o", tmp_path / "other", "--method", "resampel"))
    assert "did you mean resample?" in line
    line = complaint(cli("reconstruct", scan, "-o", tmp_path / "other", "--method", "fbp", "--window", "hammin"))
    assert "did you mean hamming?" in line
    line = complaint(cli("simulate", scan, "-o", tmp_path / "other.h5", "--geometry", "fann"))
    assert "did you mean fan? Else one of parallel, fan," in line
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
    said = "no noise at all (--photons"
    words = ("--views", 5, "--size", 32)
    assert said in cli("simulate", series, "-o", tmp_path / "scan.h5", *words).stdout
    for verb, method in (("batch", "--method"), ("benchmark", "--methods")):
        done = cli(verb, series, "-o", tmp_path / verb, *words, method, "fbp")
        assert said in done.stdout
        done = cli(verb, series, "-o", tmp_path / f"{verb}2", *words, method, "fbp", "--photons", "1e5")
        assert said not in done.stdout


def test_info_knows_batches_benchmarks_and_maps(cli, series, tmp_path):
    words = (series, "-o", tmp_path / "b", "--views", 5, "--size", 32)
    done = cli("batch", *words, "--method", "fbp", "--residual-map", "--format", "dicom,nifti", "--quiet")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 1  # no plan
    for place in (tmp_path / "b", tmp_path / "b" / "summary.csv"):
        told = json.loads(cli("info", place, "--json").stdout)
        assert told["kind"] == "results of a batch"
        assert told["series"] == "1 done"
        assert told["scan of images"] == "parallel, 5 views, no noise"
    (result,) = (tmp_path / "b" / "series").iterdir()
    for name in ("dicom-residual-map", "residual-map.nii.gz"):
        told = json.loads(cli("info", result / name, "--json").stdout)
        assert told["kind"] == "residual map of a reconstruction, no CT image"
        assert told["matrix"] == "32 x 32"
    told = json.loads(cli("info", result / "reconstruction.nii.gz", "--json").stdout)
    assert told["kind"].startswith("CT volume (NIfTI")

    words = (series, "-o", tmp_path / "m", "--views", 5, "--size", 32)
    assert cli("benchmark", *words, "--methods", "fbp").exit_code == 0
    for place in (tmp_path / "m", tmp_path / "m" / "results.json"):
        told = json.loads(cli("info", place, "--json").stdout)
        assert told["kind"] == "results of a benchmark"
        assert told["row 1"].startswith("fbp, 5 views, parallel, no noise: PSNR ")
    (tmp_path / "m" / "results.json").write_text("{}")
    assert "expected the results of a benchmark" in complaint(cli("info", tmp_path / "m"))
    told = json.loads(cli("info", "fbp-unet-25", "--json").stdout)
    assert told["kind"] == "U-Net on FBP images, of one kind of scan"


def test_info_says_what_to_do_next(cli, scan, series):
    for place, command in (
        (scan, f"ctresample reconstruct {scan} -o result"),
        (series, f"ctresample reconstruct {series} -o result --views 25 --photons 1e5"),
        ("ct256", "ctresample reconstruct SCAN -o result --prior ct256"),
    ):
        assert json.loads(cli("info", place, "--json").stdout)["next"] == command


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


LOST = """
import os, signal, sys, time
from ctresample.cli import program

class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        time.sleep(0.01)

signal.signal(signal.SIGTERM, program._stop)
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background does not inherit
sys.unraisablehook = program._again
Late()
time.sleep(20)
print("went on")
"""


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", -2)])
def test_a_stop_while_an_object_is_deleted_is_not_lost(name, status):
    done = subprocess.run([sys.executable, "-c", LOST.format(name=name)], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert "went on" not in done.stdout


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
