"""``ctresample import``: a foreign file to a result, by the example of the documentation, and errors in one line."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

import ctresample

PAGE = (Path(ctresample.__file__).parent / "docs" / "sinograms.md").read_text(encoding="utf-8")
REAL_SCAN = Path(ctresample.__file__).parent / "demo_data" / "htc2022_tb_stitched.npz"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The page's own example, copied from it."""
    (script,), (sidecar,) = (re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in ("python", "json"))
    (tmp_path / "make.py").write_text(script)
    (tmp_path / "scan.json").write_text(sidecar)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("make.py")
    return tmp_path / "scan.npy"


def test_example_of_the_page(cli, example, tmp_path):
    done = cli("import", "scan.npy", "-o", "scan.h5")
    assert done.exit_code == 0, done.output
    assert done.stdout == "scan.h5: 1 slice, 90 views, 256 detector bins\n"
    assert "floored" not in done.stderr
    done = cli("reconstruct", "scan.h5", "-o", "result", "--method", "fbp", "--device", "cpu")
    assert done.exit_code == 0, done.output
    (path,) = (tmp_path / "result").rglob("*.dcm")
    image = pydicom.dcmread(path)
    hu = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
    assert abs(np.median(hu[60:68, 60:68])) < 15  # water
    assert abs(np.median(hu[:5, 60:68]) + 1000) < 15  # air
    across = np.flatnonzero(hu[64] > -500)
    assert (across[-1] - across[0] + 1) * 1.2 == pytest.approx(120, abs=3)


def test_every_key_is_explained():
    from ctresample.data_tools.importers import description

    for model in (description.Description, description.ParallelScan, description.FanScan, description.ConeScan):
        for key in model.model_fields:
            assert re.search(rf"`([a-z.]*\.)?{key}`", PAGE), key


def test_notes_and_info(cli, tmp_path):
    out = tmp_path / "scan.h5"
    alone = shutil.copy(REAL_SCAN, tmp_path)  # without the sidecar beside it
    done = cli("import", alone, "-o", out, "--mu-water", "0.02")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}: 1 slice, 549 views, 560 detector bins\n"
    for note in ("576 x 576 pixels of 0.1435 mm", "counterclockwise", "free of noise", "1 mm; add slice_step_mm"):
        assert note in done.stderr
    facts = cli("info", out).stdout
    assert "fan, flat detector" in facts
    assert "imported from" in facts


def test_info_of_a_foreign_file(cli):
    done = cli("info", REAL_SCAN)
    assert done.exit_code == 2
    assert "`ctresample import` makes a sinogram file of it" in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 1, "geometry.detector_pitch_mm is not known"),
        (("--preset", "lodopab"), 1, "is no HDF5 file"),
        (("--preset", "other"), 2, "lodopab"),
        (("--geometry", "none.json"), 2, "none.json"),
        (("--mu-water", "-1"), 1, "mu_water_per_mm"),
    ],
)
def test_one_line_and_nothing_left(cli, example, tmp_path, words, status, message):
    said = json.loads((tmp_path / "scan.json").read_text())
    if not words:
        del said["geometry"]["detector_pitch_mm"]
    (tmp_path / "scan.json").write_text(json.dumps(said))
    before = sorted(tmp_path.rglob("*"))
    done = cli("import", "scan.npy", "-o", "scan.h5", *words)
    assert done.exit_code == status, done.output
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ctresample: error: ")]
    assert message in line
    assert "unexpected" not in line
    assert sorted(tmp_path.rglob("*")) == before


def test_never_overwrites(cli, example, tmp_path):
    (tmp_path / "scan.h5").write_text("precious")
    done = cli("import", "scan.npy", "-o", "scan.h5")
    assert done.exit_code == 1
    assert "exists" in done.stderr
    assert (tmp_path / "scan.h5").read_text() == "precious"


def test_no_known_format(cli, tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04]\x94.")
    done = cli("import", tmp_path / "a.pkl", "-o", tmp_path / "scan.h5")
    assert done.exit_code == 1
    assert "is in no known format; expected HDF5" in done.stderr


def test_loads_no_torch(example):
    code = """
import sys
from ctresample.cli import main
sys.argv = ["ctresample", "import", "scan.npy", "-o", "scan.h5"]
try:
    main()
except SystemExit as stop:
    assert not stop.code
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
