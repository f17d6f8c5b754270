"""``ctresample info --figure``: a picture of a sinogram's scan, or one line and no file."""

import h5py
import pytest
from PIL import Image


def test_draws_the_scan(cli, scan, tmp_path):
    out = tmp_path / "scan.png"
    done = cli("info", scan, "--figure", out)
    assert done.exit_code == 0, done.output
    assert done.stdout == cli("info", scan).stdout
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 1200
    assert list(tmp_path.iterdir()) == [out]


def test_never_overwrites(cli, scan, tmp_path):
    out = tmp_path / "scan.png"
    out.write_text("mine")
    done = cli("info", scan, "--figure", out)
    assert done.exit_code == 1
    assert "exists" in done.stderr
    assert out.read_text() == "mine"


@pytest.mark.parametrize("what", ["series", "prior"])
def test_only_a_sinogram_has_a_scan(cli, request, tmp_path, what):
    path = request.getfixturevalue(what)
    done = cli("info", path, "--figure", tmp_path / "scan.png")
    assert done.exit_code == 2
    assert f"{path} has no scan to draw; expected a sinogram file" in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_png_in_a_folder_that_exists(cli, scan, tmp_path):
    done = cli("info", scan, "--figure", tmp_path / "scan.pdf")
    assert done.exit_code == 2
    assert "ends in .png" in done.stderr
    done = cli("info", scan, "--figure", tmp_path / "none" / "scan.png")
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_sinogram(cli, tmp_path):
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w"):
        pass
    done = cli("info", path, "--figure", tmp_path / "scan.png")
    assert done.exit_code == 1
    assert "geometry are never guessed" in done.stderr
    assert list(tmp_path.iterdir()) == [path]
