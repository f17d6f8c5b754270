"""``batch`` on the command line: plan, exit status, one line for each error, kills."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FBP = ("--method", "fbp", "--device", "cpu", "--size", 32, "--views", 6, "--photons", "1e5")


SUFFIXES = (".nii.gz", ".nrrd")


@pytest.fixture(scope="module")
def export(tmp_path_factory, make_series) -> Path:
    """Two good series, one of them in pieces of a path that names a patient."""
    folder = tmp_path_factory.mktemp("export")
    make_series(folder / "Doe^Jane" / "a", n=2)
    make_series(folder / "b", n=1, series="2")
    return folder


def test_dry_run_writes_nothing_and_names_nobody(cli, export, tmp_path):
    done = cli("batch", export, "-o", tmp_path / "out", *FBP, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "2 of 2 series to run, 3 slices, about" in done.stdout
    assert "measured on 2 slices" in done.stdout
    assert "disk: about" in done.stdout
    assert "Doe" not in done.output
    assert list(tmp_path.iterdir()) == []


def test_batch(cli, export, tmp_path):
    done = cli("batch", export, "-o", tmp_path / "out", *FBP)
    assert done.exit_code == 0, done.output
    assert "2 of 2 series done" in done.stdout
    assert "data residual" in done.stderr
    assert done.stderr.count("6 views: too few to tell an image") == 2  # doubtful, in each series
    assert "2 of them with doubts or notes" in done.stderr
    rows = list(csv.DictReader((tmp_path / "out" / "summary.csv").read_text().splitlines()))
    assert all("6 views: too few to tell an image" in row["doubts"] for row in rows)
    assert "6 views: too few to tell an image" in (tmp_path / "out" / "summary.html").read_text()
    assert "Doe" not in done.output
    again = cli("batch", export, "-o", tmp_path / "out", *FBP)
    assert again.exit_code == 0, again.output
    assert "0 of 2 series to run" in again.stdout


def test_sinograms_are_reconstructed_as_they_are(cli, scan, tmp_path):
    done = cli("batch", scan, "-o", tmp_path / "out", "--method", "fbp", "--device", "cpu", "--every", 3)
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "out" / "series").iterdir()
    record = json.loads((folder / "run.json").read_text())
    assert (record["scan"]["views"], record["metrics"]) == (4, None)


def test_some_failed(cli, export, make_series, tmp_path):
    import shutil

    place = tmp_path / "in"
    shutil.copytree(export, place)
    make_series(place / "gap", n=4, series="3")
    (place / "gap" / "3-001.dcm").unlink()
    whole = (place / "b" / "2-000.dcm").read_bytes()
    (place / "b" / "2-000.dcm").write_bytes(whole[:-200])
    done = cli("batch", place, "-o", tmp_path / "out", *FBP)
    assert done.exit_code == 3
    assert "1 failed, 1 skipped, 0 damaged files" in done.stderr
    assert "1 of 3 series done" in done.stdout
    more = cli("batch", place, "-o", tmp_path / "gaps", *FBP, "--allow-gaps")
    assert "2 of 3 series done" in more.stdout


def test_deidentified(cli, export, tmp_path):
    words = ("batch", export, *FBP, "--deidentify", "--deidentification-key", tmp_path / "key")
    assert cli(*words, "-o", tmp_path / "out").exit_code == 0
    for path in (tmp_path / "out" / "series").rglob("*.*"):
        assert b"Doe^Jane" not in path.read_bytes()
        assert b"20200304" not in path.read_bytes()
    assert len(list((tmp_path / "out").rglob("deidentification.json"))) == 2
    assert "0 of 2 series to run" in cli(*words, "-o", tmp_path / "out").stdout  # the same key, the same folders
    (tmp_path / "key").unlink()
    done = cli(*words, "-o", tmp_path / "out")
    assert (done.exit_code, "deidentification_key" in done.stderr) == (1, True)
    assert cli("batch", export, "-o", tmp_path / "new", *FBP, "--deidentify").exit_code == 2


def test_maps_in_every_format(cli, export, prior, tmp_path):
    """The second time nothing is to do: their files are there, and the settings are those of the manifest."""
    words = ("batch", export / "b", "-o", tmp_path / "out", *FBP, "--method", "resample", "--prior", prior)
    maps = ("--format", "nrrd,dicom,nifti", "--residual-map", "--uncertainty", 2)
    done = cli(*words, *maps)
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "out" / "series").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        *("run.json", "preview.png", "report.html", "dicom", "dicom-residual-map", "dicom-uncertainty-map"),
        *(f"{name}{suffix}" for name in ("reconstruction", "residual-map", "uncertainty-map") for suffix in SUFFIXES),
    }
    record = json.loads((folder / "run.json").read_text())["maps"]
    assert record["uncertainty"]["seeds"] == [0, 1]
    assert record["uncertainty"]["rms_hu"] > 0
    assert "0 of 1 series to run" in cli(*words, *maps).stdout
    other = cli(*words, *maps[:-1], 3)
    assert (other.exit_code, "uncertainty: 2 there, 3 now" in other.stderr) == (1, True)
    assert cli(*words, "--method", "fbp", "--uncertainty", 2).exit_code == 2


def test_errors_are_one_line(cli, export, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    (tmp_path / "empty").mkdir()
    for status, words, expected in (
        (1, (export, "-o", tmp_path / "full"), "holds no batch"),
        (2, (export, "-o", export / "out"), "taken for inputs"),
        (1, (tmp_path / "empty", "-o", tmp_path / "out"), "no CT series and no sinogram file"),
        (2, (export, "-o", tmp_path / "out", "--select", "lungs"), "--select has 'lungs'"),
        (2, (export, "-o", tmp_path / "out", "--workers", 2, "--scheduler", "tcp://h:1"), "leave one out"),
    ):
        done = cli("batch", *words, *FBP)
        assert done.exit_code == status, done.output
        assert expected in done.stderr
        assert len([line for line in done.stderr.splitlines() if "error" in line]) == 1
        assert not (tmp_path / "out").exists()


def test_a_dicomdir_stands_for_its_folder(cli, make_series, tmp_path):
    make_series(tmp_path / "media" / "PT0", n=2)
    (tmp_path / "media" / "DICOMDIR").touch()
    place = tmp_path / "media" / "DICOMDIR"
    inside = cli("batch", place, "-o", tmp_path / "media" / "out", *FBP)
    assert (inside.exit_code, "taken for inputs" in inside.stderr) == (2, True)
    done = cli("batch", place, "-o", tmp_path / "out", *FBP)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "sources.csv").read_text().endswith(",PT0\n")


def test_no_space_is_said_first(cli, export, tmp_path, monkeypatch):
    from ctresample.pipelines.batch import plan

    monkeypatch.setattr(plan, "free_bytes", lambda _folder: 1000)
    done = cli("batch", export, "-o", tmp_path / "out", *FBP)
    assert done.exit_code == 1
    assert "need about" in done.stderr
    assert not (tmp_path / "out").exists()


def test_interrupted(cli, export, tmp_path, monkeypatch):
    from ctresample.pipelines.batch import run

    def stopped(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_one", stopped)
    done = cli("batch", export, "-o", tmp_path / "out", *FBP)
    assert done.exit_code == 130
    assert "repeat the command to go on" in done.stderr
    assert "waiting" in (tmp_path / "out" / "summary.csv").read_text()


def test_killed_and_gone_on_with(cli, export, tmp_path, monkeypatch):
    """By kill -9, after each number of events; the end is that of an undisturbed run."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")

    def content(out):
        return {str(path.relative_to(out)): path.read_bytes() for path in (out / "series").rglob("*.*")}

    assert cli("batch", export, "-o", tmp_path / "calm", *FBP).exit_code == 0
    out, manifest = tmp_path / "out", tmp_path / "out" / "manifest.jsonl"
    command = [Path(sys.executable).with_name("ctresample"), "batch", export, "-o", out, *FBP]
    for n_events in (2, 5):
        with subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
        ) as process:
            while process.poll() is None and not (manifest.exists() and manifest.read_bytes().count(b"\n") >= n_events):
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
    assert cli("batch", export, "-o", out, *FBP).exit_code == 0
    assert content(out) == content(tmp_path / "calm")


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
def test_names_that_are_no_text_stop_nothing(cli, make_series, tmp_path):
    """Bytes that are no UTF-8, escapes that a terminal obeys, a formula, a path that is too long, a locked folder."""
    place = tmp_path / "in"
    names = [b"M\xfcller", b"\x1b]0;owned\x07\x1b[2J", b"=cmd|' /C calc'!A0", b"two\nlines"]
    for number, name in enumerate(names):
        make_series(place / os.fsdecode(name), series=str(number), n=2)
    (place / os.fsdecode(names[0]) / "000.dcm").write_bytes(b"\x08\0\x05\0 damaged")
    before = Path.cwd()
    try:  # deeper than any path may be long
        os.chdir(place)
        for _ in range(25):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
    finally:
        os.chdir(before)
    out = tmp_path / "out"
    done = cli("batch", place, "-o", out, "--method", "fbp", "--size", 32, "--views", 8)
    assert done.exit_code == 3, done.output
    assert done.stdout.replace("\n", "").isprintable()
    assert done.stderr.replace("\n", "").isprintable()
    assert "unexpected" not in done.stderr
    with (out / "sources.csv").open(newline="") as file:
        places = [row["place"] for row in csv.DictReader(file)]
    assert r"M\udcfcller" in " ".join(places)
    assert r"\x1b]0;owned\x07\x1b[2J" in places
    assert any(place.startswith("'=cmd|") for place in places)
    assert any("cannot be searched (File name too long)" in place for place in places)
    with (out / "summary.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)].count("done") >= 3


@pytest.mark.skipif(os.name == "nt", reason="no such permissions")
def test_results_are_for_their_owner_alone_unless_shared(cli, export, tmp_path):
    for words, mode in ((), 0o077), (("--share",), 0o022):
        before = os.umask(0o022)
        try:
            out = tmp_path / f"out{len(words)}"
            assert cli("batch", export, "-o", out, *FBP, *words).exit_code == 0
            assert os.umask(0o022) == 0o022  # as it was
        finally:
            os.umask(before)
        made = [path for path in (out, *out.rglob("*")) if path.name != "work.lock"]
        assert len(made) > 10
        assert {path.stat().st_mode & 0o077 & ~mode for path in made} == {0} or words
        assert any(path.stat().st_mode & 0o044 for path in made) == bool(words)
