"""``ctresample dataset``: shards of a folder, a summary for the reader, and all or nothing."""

import errno
import json
import os
import re
import shutil

import pytest


@pytest.fixture
def dicom_dir(make_series, tmp_path):
    """Two patients of three slices, and a file that is no image."""
    from pydicom import dcmread

    for number in "12":
        for path in make_series(tmp_path / "dicom" / number, series=number).iterdir():
            ds = dcmread(path)
            ds.PatientID = f"patient {number}"
            ds.save_as(path)
    (tmp_path / "dicom" / "notes.txt").write_text("no image")
    return tmp_path / "dicom"


def test_makes_shards_and_says_what_they_hold(cli, dicom_dir, tmp_path):
    out = tmp_path / "new" / "shards"
    done = cli("dataset", dicom_dir, "-o", out, "--licence", "CC BY 4.0")
    assert done.exit_code == 0, done.output
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == [
        "dataset.json",
        "train/00000.h5",
        "val/00000.h5",
    ]
    assert f"{out}: 6 slices of 2 patients" in done.stdout
    for line in (r"train +3 slices of 1 patients, 1 shard,", r"val +3 slices of 1 patients", "1 not DICOM .notes.txt."):
        assert re.search(line, done.stdout)
    assert "Licence: CC BY 4.0" in done.stdout
    assert f"ctresample train autoencoder {out}/train --validation {out}/val" in done.stdout
    assert json.loads((out / "dataset.json").read_text())["left_out"] == {"not DICOM": 1}
    assert "reading headers of 7 files" in done.stderr
    assert "Doe" not in done.output
    assert "patient 1" not in done.output


def test_takes_zip_files(cli, dicom_dir, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "export"), "zip", dicom_dir)
    done = cli("dataset", archive, "-o", tmp_path / "shards")
    assert done.exit_code == 0, done.output
    assert "6 slices of 2 patients" in done.stdout


def test_never_overwrites(cli, dicom_dir, tmp_path):
    out = tmp_path / "shards"
    assert cli("dataset", dicom_dir, "-o", out).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = cli("dataset", dicom_dir, "-o", out)
    assert again.exit_code == 1
    assert "not empty" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_disk_full_in_the_middle_leaves_nothing(cli, dicom_dir, tmp_path, monkeypatch):
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("ctresample.files.os.fsync", full)
    before = sorted(tmp_path.rglob("*"))
    done = cli("dataset", dicom_dir, "-o", tmp_path / "new" / "shards")
    assert len(calls) == 2
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert sorted(tmp_path.rglob("*")) == before


def test_folder_without_ct(cli, tmp_path):
    (tmp_path / "in").mkdir()
    done = cli("dataset", tmp_path / "in", "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "no axial CT image to train on" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_share_out_of_range(cli, dicom_dir, tmp_path):
    done = cli("dataset", dicom_dir, "-o", tmp_path / "out", "--validation-share", "1.5")
    assert done.exit_code == 2
    assert "--validation-share" in done.stderr
