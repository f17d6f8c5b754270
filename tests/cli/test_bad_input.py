"""Whatever is wrong: one line, exit status 1 or 2, nothing left behind."""

import shutil

import h5py
import pytest

from ctresample.errors import CTResampleError

FBP = ("--method", "fbp", "--device", "cpu")


@pytest.fixture
def fails(cli, tmp_path):
    """Run a command that must fail well; returns its one line."""

    def run(status, *words):
        before = sorted(tmp_path.rglob("*"))
        done = cli(*words)
        assert done.exit_code == status, done.output
        assert done.stdout == ""
        complaints = [line for line in done.stderr.splitlines() if line.startswith("ctresample: error: ")]
        # the other lines say what was being done
        assert len(complaints) == 1
        assert done.stderr.endswith(f"{complaints[0]}\n")
        assert "unexpected" not in complaints[0]
        assert sorted(tmp_path.rglob("*")) == before
        return complaints[0]

    return run


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "out"


def test_empty_folder(fails, tmp_path, out):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no CT image" in fails(1, "simulate", empty, "-o", tmp_path / "scan.h5", "--views", 5)
    assert "no axial CT image" in fails(1, "benchmark", empty, "-o", out, "--methods", "fbp")


def test_two_series(fails, make_series, tmp_path):
    for name in "12":
        make_series(tmp_path / "both", n=2, series=name)
    line = fails(1, "simulate", tmp_path / "both", "-o", tmp_path / "scan.h5", "--views", 5)
    assert "2 stacks" in line


def test_no_views(fails, series, tmp_path, out):
    for views in ("0", "-3", "many"):
        assert "--views" in fails(2, "simulate", series, "-o", tmp_path / "scan.h5", "--views", views)
        assert "--views" in fails(2, "benchmark", series, "-o", out, "--views", f"25,{views}")


def test_no_geometry(fails, scan, tmp_path, out):
    path = tmp_path / "scan.h5"
    shutil.copy(scan, path)
    with h5py.File(path, "a") as file:
        del file["entry/ctresample/geometry"]
    assert "geometry" in fails(1, "reconstruct", path, "-o", out, *FBP)


def test_nan(fails, scan, tmp_path, out):
    path = tmp_path / "scan.h5"
    shutil.copy(scan, path)
    with h5py.File(path, "a") as file:
        file["entry/data/data"][3, 1, 5] = float("nan")
    assert "NaN" in fails(1, "reconstruct", path, "-o", out, *FBP)


def test_not_a_sinogram(fails, tmp_path, out):
    path = tmp_path / "scan.h5"
    path.write_text("none")
    fails(1, "reconstruct", path, "-o", out, *FBP)
    assert "does not exist" in fails(2, "reconstruct", tmp_path / "none.h5", "-o", out, *FBP)


def test_prior_without_config(fails, scan, prior, series, tmp_path, out):
    folder = tmp_path / "prior"
    shutil.copytree(prior, folder)
    (folder / "prior.json").unlink()
    assert "prior.json" in fails(1, "reconstruct", scan, "-o", out, "--prior", folder)
    assert "prior.json" in fails(1, "benchmark", series, "-o", out, "--prior", folder)
    assert "prior.json" in fails(1, "demo", "-o", out, "--prior", folder)
    assert "no prior 'none'" in fails(1, "reconstruct", scan, "-o", out, "--prior", "none")


def test_prior_that_does_not_fit(fails, prior, series, out):
    words = ("--prior", prior, "--methods", "resample", "--size", 18)
    assert "multiples of 4" in fails(1, "benchmark", series, "-o", out, *words)


@pytest.mark.parametrize("below", ["", "deep"])
def test_output_not_writable(fails, scan, series, tmp_path, below):
    file = tmp_path / "file"
    file.touch()
    place = file / below / "out"  # no one, root included, can make a folder in a file
    assert "cannot be written" in fails(1, "reconstruct", scan, "-o", place, *FBP)
    assert "cannot be written" in fails(1, "benchmark", series, "-o", place)
    assert "cannot be written" in fails(1, "demo", "-o", place)
    assert "cannot be written" in fails(1, "simulate", series, "-o", place, "--views", 5)


def test_output_taken(fails, scan, series, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "results.csv").touch()
    assert "not empty" in fails(1, "reconstruct", scan, "-o", taken, *FBP)
    assert "not empty" in fails(1, "benchmark", series, "-o", taken)
    assert "not empty" in fails(1, "demo", "-o", taken)
    assert "exists" in fails(1, "simulate", series, "-o", taken / "results.csv", "--views", 5)
    assert "is a file" in fails(1, "reconstruct", scan, "-o", taken / "results.csv", *FBP)


def test_no_cuda(fails, scan, series, out, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "CUDA" in fails(1, "reconstruct", scan, "-o", out, "--device", "cuda")
    assert "CUDA" in fails(1, "benchmark", series, "-o", out, "--device", "cuda")
    assert "CUDA" in fails(1, "demo", "-o", out, "--device", "cuda")
    assert "tpu" in fails(2, "reconstruct", scan, "-o", out, "--device", "tpu")


def test_wrong_words(fails, scan, series, tmp_path, out):
    assert "'art'" in fails(2, "reconstruct", scan, "-o", out, "--method", "art")
    assert "'art'" in fails(2, "benchmark", series, "-o", out, "--methods", "fbp,art")
    assert "'slow'" in fails(2, "benchmark", series, "-o", out, "--preset", "slow")
    assert "--methods" in fails(2, "benchmark", series, "-o", out, "--methods", "fbp,,tv")
    for words, message in (
        (("--views", "25,x"), "--views is '25,x'"),
        (("--photons", "1e5,-1"), "--photons is '1e5,-1'"),
        (("--photons", "some"), "expected a number or 'none'"),
        (("--geometry", "cone"), "--geometry has 'cone'"),
        (("--electronic-noise", 5), "without --photons"),
        (("--conditions", "dm4ct-ii", "--views", 20), "--views has no place"),
        (("--conditions", "dm4ct-vi"), "condition is 'dm4ct-vi'; expected one of paper-25"),
        (("--slices-of", "tv"), "--slices-of is 'tv'"),
        (("--slices-of", "paper=2"), "'paper' is limited, but it does not run"),
        (("--zoom", "1,2"), "--zoom is '1,2'"),
        (("--baseline", "sirt"), "the baseline is 'sirt'; expected one of the methods that run: fbp"),
    ):
        assert message in fails(2, "benchmark", series, "-o", out, "--methods", "fbp", *words)
    assert "--out" in fails(2, "reconstruct", scan)
    assert "No such command" in fails(2, "recnstruct", scan)
    noise = ("--views", 5, "--electronic-noise", 10)
    assert "--photons" in fails(2, "simulate", series, "-o", tmp_path / "s.h5", *noise)
    assert "photons" in fails(2, "simulate", series, "-o", tmp_path / "s.h5", "--views", 5, "--photons", 0)
    fails(2, "info", tmp_path / "nothing")


def test_against_another_series(fails, make_series, scan, tmp_path, out):
    other = make_series(tmp_path / "other", pixel_mm=8.0)
    assert "pixels of 8 mm" in fails(2, "reconstruct", scan, "-o", out, "--against", other, *FBP)
    short = make_series(tmp_path / "short", n=2)
    assert "slice 3 of the sinogram" in fails(2, "reconstruct", scan, "-o", out, "--against", short, *FBP)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("something\nodd"), 1, "RuntimeError: something odd (unexpected; add --debug"),
        (RuntimeError("CUDA out of memory.\nTry less"), 1, "memory ran out even with one slice at a time; choose"),
        (MemoryError(), 1, "memory ran out even with one slice at a time; choose a machine with more"),
        (CTResampleError("two\nlines"), 1, "two lines"),
    ],
)
def test_failure_while_computing(cli, scan, tmp_path, monkeypatch, error, status, text):
    from ctresample.pipelines.results import run

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(run, "reconstruct", fail)
    done = cli("reconstruct", scan, "-o", tmp_path / "new" / "out", *FBP)
    assert done.exit_code == status
    assert text in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    if isinstance(error, RuntimeError):
        assert "Traceback" in cli("reconstruct", scan, "-o", tmp_path / "out", *FBP, "--debug").stderr
