"""Each verb from end to end on tiny data."""

import functools
import json
import math

import numpy as np
import pytest
from pydicom import dcmread

from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.pipelines.benchmark.table import COLUMNS, read_results_csv
from ctresample.solvers.resample import PRESETS


def test_simulate(scan):
    sinogram = read_sinogram(scan)
    assert sinogram.values.shape[:2] == (3, 12)
    assert sinogram.grid.shape == (32, 32)
    assert sinogram.photons == 1e5
    assert len(sinogram.headers) == 3


def test_simulate_fan(cli, series, tmp_path):
    out = tmp_path / "fan.h5"
    done = cli("simulate", series, "-o", out, "--views", 7, "--geometry", "fan", "--size", 32)
    assert done.exit_code == 0, done.output
    assert "3 slices, 7 views" in done.stdout
    sinogram = read_sinogram(out)
    assert sinogram.geometry.source_to_axis_mm > 0
    assert sinogram.photons is None


@pytest.mark.parametrize("method", ["fbp", "sirt", "cgls", "tv", "resample"])
def test_reconstruct(cli, scan, series, prior, tmp_path, method):
    out = tmp_path / "new" / "result"
    words = ("reconstruct", scan, "-o", out, "--method", method, "--device", "cpu", "--seed", 3)
    words += ("--prior", prior) if method == "resample" else ()
    done = cli(*words, "--against", series, "--batch-size", 2)
    assert done.exit_code == 0, done.output
    assert "PSNR" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == ["dicom", "report.html", "run.json"]
    assert [path.name for path in tmp_path.rglob("*.partial")] == []

    files = sorted((out / "dicom").glob("*.dcm"))
    source = read_ct_series(series)
    written = read_ct_series(out / "dicom")
    assert len(files) == 3
    np.testing.assert_allclose(written.affine, source.affine)  # as many pixels out as in
    assert np.abs(written.hu - source.hu).mean() < 500
    assert "12 views" in dcmread(files[0]).SeriesDescription

    record = json.loads((out / "run.json").read_text())
    assert record["method"] == method
    assert len(record["residual_ratio"]) == 3
    assert record["metrics"]["data_range_hu"] == 3000
    assert len(record["metrics"]["slices"]) == 3
    assert record["metrics"]["mean"]["rmse_hu"] < 500
    assert record["versions"]["torch"]
    assert record["device"] == "cpu"
    assert record["seconds"]["reconstruct"] > 0
    learned = method == "resample"
    assert record["seed"] == (3 if learned else None)
    assert (record["settings"].get("n_steps") == PRESETS["fast"].n_steps) == learned
    assert (record["prior"] is not None) == learned
    if learned:
        assert len(record["prior"]["weights_sha256"]) == 64
    if method != "fbp":
        assert record["residual_history"]


def test_reconstruct_tells_progress(cli, scan, tmp_path):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--method", "cgls")
    lines = done.stderr.splitlines()
    assert any(line.startswith("cgls, 3 slices, 12 views") for line in lines)
    assert len(lines) < 6  # no terminal here: a line for each step, not for each per cent


def test_benchmark(cli, make_series, prior, tmp_path):
    make_series(tmp_path / "in" / "a", n=2)
    make_series(tmp_path / "in" / "b", n=1, series="2", pixel_mm=6.0)
    out = tmp_path / "out"
    words = ("benchmark", tmp_path / "in", "-o", out, "--views", "8,12", "--methods", "fbp,tv,resample")
    done = cli(*words, "--size", 32, "--photons", "1e5", "--prior", prior)
    assert done.exit_code == 0, done.output
    assert "resample" in done.stdout
    assert (out / "results.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    rows = read_results_csv(out / "results.csv")
    names = ("slice-001", "slice-002", "slice-003")
    runs = (("fbp", ""), ("tv", ""), ("resample", "fast"))
    assert [(row.views, row.slice, row.method, row.preset) for row in rows] == [
        (views, name, *run) for views in (8, 12) for name in names for run in runs
    ]
    assert all(row.data_range_hu == 3000 and row.seconds > 0 and math.isfinite(row.psnr_db) for row in rows)
    html = (out / "report.html").read_text()
    assert "slice-003, 12 views, parallel, 100,000 photons a ray" in html
    assert "Latent prior" in html
    assert "Differences to tv" in html
    assert "minus tv" in (out / "results.md").read_text()
    assert "Doe^Jane" not in html


def test_benchmark_max_slices(cli, series, tmp_path):
    words = ("benchmark", series, "-o", tmp_path / "out", "--methods", "fbp", "--size", 32, "--max-slices", 2)
    done = cli(*words, "--geometry", "fan")
    assert done.exit_code == 0, done.output
    rows = read_results_csv(tmp_path / "out" / "results.csv")
    assert [(row.slice, row.views) for row in rows] == [("slice-001", 25), ("slice-002", 25)]


def test_benchmark_of_volumes(cli, series, tmp_path):
    words = ("benchmark", series, "-o", tmp_path / "out", "--methods", "tv", "--size", 32, "--views", 9)
    several = ("--volume", "--stagger", "1,3", "--z-coupling", "auto,none", "--max-slices", 2)
    done = cli(*words, *several)
    assert done.exit_code == 0, done.output
    assert "Flicker" in done.output
    rows = read_results_csv(tmp_path / "out" / "results.csv")
    assert {row.label for row in rows} == {"tv", "tv slice by slice"}
    assert len(rows) == 2 * 2 * 2
    assert all(np.isfinite(row.flicker) for row in rows)
    for wrong, message in (
        (("--stagger", 3), "--stagger concerns neighbouring slices; add --volume"),
        (("--volume", "--tasks"), "--tasks is of single slices"),
        (("--geometry", "cone"), "--geometry has 'cone'; expected parallel, fan, fan-curved, or with --volume cone"),
    ):
        done = cli(*words, *wrong)
        assert done.exit_code == 2
        assert message in " ".join(done.output.split())


def test_benchmark_with_tasks(cli, series, tmp_path):
    words = ("benchmark", series, "--methods", "fbp", "--max-slices", 1, "--views", 9, "--tasks")
    done = cli(*words, "-o", tmp_path / "out", "--size", 80)
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert [(row["method"], row["failure"]) for row in rows] == [("fbp", "")] * 3
    assert {"tasks.csv", "tasks.md", "results.csv"} <= {path.name for path in (tmp_path / "out").iterdir()}
    small = cli(*words, "-o", tmp_path / "small", "--size", 32)
    assert (small.exit_code, "size is 32; the phantom's rods need 74" in small.stderr) == (2, True)
    assert not (tmp_path / "small").exists()


def test_benchmark_of_published_scans_goes_on(cli, series, tmp_path):
    words = ("benchmark", series, "-o", tmp_path / "out", "--methods", "fbp,cgls", "--size", 32, "--draws", 2)
    more = (
        "--conditions",
        "dm4ct-ii,dm4ct-v-endpoint",
        "--slices-of",
        "cgls=1",
        "--baseline",
        "fbp",
        "--zoom",
        "2,3,9",
    )
    done = cli(*words, *more)
    assert done.exit_code == 0, done.output
    rows = read_results_csv(tmp_path / "out" / "results.csv")
    assert {(row.condition, row.views) for row in rows} == {("dm4ct-ii", 20), ("dm4ct-v-endpoint", 40)}
    assert [(row.slice, row.seed) for row in rows if row.method == "cgls"] == [("slice-002", 0), ("slice-002", 1)] * 2
    assert "9 × 9 pixels from row 2, column 3" in (tmp_path / "out" / "report.html").read_text()
    (tmp_path / "out" / "report.html").unlink()
    assert cli(*words, *more).exit_code == 0
    assert (tmp_path / "out" / "report.html").is_file()
    assert repr(read_results_csv(tmp_path / "out" / "results.csv")) == repr(rows)  # seconds, too: kept


def test_benchmark_with_failures(cli, series, tmp_path, monkeypatch):
    from ctresample.errors import PriorError
    from ctresample.pipelines.benchmark import trial

    def fragile(sinogram, **options):
        if options["method"] == "cgls":
            raise PriorError("resample diverged")
        return reconstruct(sinogram, **options)

    reconstruct = trial.reconstruct
    monkeypatch.setattr(trial, "reconstruct", fragile)
    done = cli("benchmark", series, "-o", tmp_path / "out", "--methods", "fbp,cgls", "--size", 32)
    assert done.exit_code == 3
    assert "3 of 6 reconstructions failed; the first: cgls, slice-001: PriorError: resample diverged" in done.stderr
    assert "with --retry-failed to try them again" in done.stderr
    assert len(read_results_csv(tmp_path / "out" / "results.csv")) == 6
    monkeypatch.undo()
    words = ("benchmark", series, "-o", tmp_path / "out", "--methods", "fbp,cgls", "--size", 32)
    assert [cli(*words).exit_code, cli(*words, "--retry-failed").exit_code, cli(*words).exit_code] == [3, 0, 0]


def test_benchmark_interrupted(cli, series, tmp_path, monkeypatch):
    from ctresample.pipelines.benchmark import resumable

    def stopped(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(resumable, "run_benchmark", stopped)
    done = cli("benchmark", series, "-o", tmp_path / "out", "--methods", "fbp")
    assert done.exit_code == 130
    (line,) = (line for line in done.stderr.splitlines() if "error" in line)
    assert "repeat the command to go on" in line


def test_demo_twice(cli, make_series, prior, tmp_path, monkeypatch):
    from ctresample.pipelines import demo

    smaller = functools.partial(demo.demo, slices=make_series(tmp_path / "in", n=1), size=32)
    monkeypatch.setattr(demo, "demo", smaller)
    out = tmp_path / "demo-output"
    for _ in range(2):
        done = cli("demo", "-o", out, "--prior", prior)
        assert done.exit_code == 0, done.output
        assert sorted(path.name for path in out.iterdir()) == ["dicom", "report.html", "results.csv"]
        assert [path.name for path in sorted((out / "dicom").iterdir())] == ["0001.dcm"]
    assert "PSNR" in done.stdout
    rows = read_results_csv(out / "results.csv")
    assert [row.method for row in rows] == ["fbp", "tv", "resample"]
    assert {row.views for row in rows} == {25}
    html = (out / "report.html").read_text()
    for fact in ("toy", "100,000 photons", "seed 0"):
        assert fact in html
    assert dcmread(out / "dicom" / "0001.dcm").SeriesDescription == "ReSample fast, 25 views"


def test_info(cli, scan, series, prior):
    for path, word in ((scan, "12"), (series, "32 x 32"), (prior, "toy")):
        done = cli("info", path)
        assert done.exit_code == 0, done.output
        assert word in done.stdout
        assert "Doe" not in done.stdout


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_doctor(cli, monkeypatch, state, status):
    from ctresample.pipelines import doctor

    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("torch", state, "[2.0] there")])
    done = cli("doctor")
    assert done.exit_code == status
    assert [line.split() for line in done.stdout.splitlines()] == [[state, "torch", "[2.0]", "there"]]
