"""Volumes and headers that no DICOM file may have: refused, mended or left out, and said."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from ctresample.data_tools.deidentify import Deidentifier
from ctresample.data_tools.dicom.files import quiet_pydicom
from ctresample.data_tools.dicom.mend import mended
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom_export.write import (
    Provenance,
    check_ct_series,
    write_ct_series,
)
from ctresample.errors import DicomError, GeometryError, OutputError, UsageError
from ctresample.volume import Volume

RUN = Provenance(
    software_version="0.1.0",
    method="ReSample fast, 25 views",
    settings={"n_views": 25, "steps": [1, 2]},
    weights_sha256="ab" * 32,
    seed=7,
    created=datetime(2026, 11, 23, 9, 8, 7, 6500),
)


def write(volume, folder, provenance=RUN, description="ReSample, 25 views"):
    return write_ct_series(volume, folder, description=description, provenance=provenance)


def scan(n=3, shape=(12, 16), **changes):
    """A volume that came from no DICOM file."""
    hu = np.random.default_rng(1).uniform(-1000, 2000, (n, *shape)).astype(np.float32)
    affine = np.diag([0.7, 0.8, 2.5, 1.0])
    affine[:3, 3] = -10.5, 20.25, 30
    return replace(Volume(hu, affine), **changes)


def test_mixed_studies(tmp_path, dicom):
    dicom.make_series(tmp_path / "a", n=1, series="1")
    dicom.make_series(tmp_path / "b", n=1, series="2")
    headers = [read_ct_series(tmp_path / name).headers[0] for name in "ab"]
    with pytest.raises(DicomError, match="from 2 studies; expected one.*--series KEY"):
        write(scan(2, headers=tuple(headers)), tmp_path / "result")


SHEARED = np.diag([1.0, 1, 1, 1]) + np.outer([1, 0, 0, 0], [0, 0, 0.1, 0])


@pytest.mark.parametrize(
    ("volume", "words", "error", "message"),
    [
        (scan(hu=np.full((1, 4, 4), np.nan, np.float32)), "d", OutputError, "16 values that are not finite"),
        (scan(affine=SHEARED), "d", GeometryError, "axes are not orthogonal"),
        (scan(affine=np.diag([1.0, 1, 0, 1])), "d", GeometryError, "expected three distances above 0"),
        (scan(1, headers=({"00100010": {"vr": "PN", "Value": 5}},)), "d", DicomError, "no DICOM JSON"),
        (scan(), "x" * 65, UsageError, "expected 1 to 64 characters"),
        (scan(), "a\\b", UsageError, "without backslash"),
    ],
)
def test_refusals(tmp_path, volume, words, error, message):
    with pytest.raises(error, match=message):
        write(volume, tmp_path / "result", description=words)
    assert list(tmp_path.iterdir()) == []


def test_odd_study_uid(tmp_path):
    def study(uid):
        return scan(1, headers=({"0020000D": {"vr": "UI", "Value": [uid]}},))

    path = write(study("1.2.03"), tmp_path / "a")[0]  # against the rules, but the study's name all the same
    with pytest.warns(UserWarning, match="Invalid value"):
        assert dcmread(path).StudyInstanceUID == "1.2.03"
    for text in ("anonymized", "../../evil"):
        uids = [dcmread(write(study(text), tmp_path / (name + text[-4:]))[0]).StudyInstanceUID for name in "bc"]
        assert uids[0].is_valid
        assert uids[0] == uids[1]  # what is of one study stays of one


def test_what_is_cut_short_stays_apart(tmp_path, dicom):
    """Two patients whose numbers differ in the last digit only."""
    ids = []
    for last in "12":
        header = {"00100020": {"vr": "LO", "Value": ["X" * 80 + last]}}
        ids.append(dcmread(write(scan(1, headers=(header,)), tmp_path / last)[0]).PatientID)
    assert ids[0] != ids[1]
    assert max(map(len, ids)) == 64


@pytest.mark.parametrize(
    ("vr", "values", "expected"),
    [
        ("DA", ["20200101"], ("20200101", "")),
        ("DA", ["2020-1-1"], ("20200101", "date rewritten")),
        ("DA", ["2020.01.31"], ("20200131", "date rewritten")),
        ("DA", ["20201301"], (None, "left out: invalid")),
        ("DA", ["01/02/2020"], (None, "left out: invalid")),
        ("TM", ["101112.5"], ("101112.5", "")),
        ("TM", ["10:11"], ("1011", "time rewritten")),
        ("TM", ["10:11:12.1234567"], ("101112.123456", "time rewritten")),
        ("TM", ["25"], (None, "left out: invalid")),
        ("SH", ["A", "B"], ("A/B", "characters replaced")),
        ("SH", ["A\nB "], ("AB", "characters replaced")),
        ("LO", [], ("", "")),
        ("PN", ["A^B^C^D^E^F"], ("A^B^C^D^E", "shortened")),
        ("PN", ["REMOVED"], ("REMOVED", "")),
    ],
)
def test_mended(vr, values, expected):
    assert mended(vr, values) == expected


def test_all_that_an_export_refuses_is_refused_before_there_are_values(tmp_path):
    studies = tuple({"0020000D": {"vr": "UI", "Value": [f"1.2.{k}"]}} for k in (1, 2, 3))
    sheared = np.eye(4)
    sheared[0, 1] = 0.5
    for affine, headers, error in (
        (np.eye(4), studies, DicomError),
        (np.eye(4), ({"0020000D": {"vr": "US", "Value": [4]}},), DicomError),
        (sheared, (), GeometryError),
    ):
        with pytest.raises(error) as early:
            check_ct_series(affine, headers)
        with pytest.raises(error) as late:
            write(scan(affine=affine, n=max(1, len(headers)), headers=headers), tmp_path / "out")
        assert str(early.value) == str(late.value)


def test_no_value_of_a_header_is_told(tmp_path, dicom, caplog, capfd):
    """Odd values pass through reading, de-identification and writing without a word; a warning would fail the test."""

    def odd(ds, z):
        ds.PatientBirthDate, ds.StudyDate, ds.PatientAge, ds.AccessionNumber = (
            "SECRETDATE",
            "SECRET",
            "SECRET",
            "S" * 20,
        )
        ds.PatientName, ds.KVP, ds.StudyDescription = "SECRET\x07^Name", "120", "SECRET" * 20

    with quiet_pydicom():
        dicom.make_series(tmp_path / "source", n=2, edit=odd)
    volume = read_ct_series(tmp_path / "source")
    write(volume, tmp_path / "result")
    write(Deidentifier(bytes(32)).volume(volume), tmp_path / "hidden")
    assert "SECRET" not in caplog.text + "".join(capfd.readouterr())


def test_settings_must_be_json(tmp_path):
    with pytest.raises(UsageError, match="not JSON"):
        write(scan(), tmp_path / "result", replace(RUN, settings={"path": Path()}))


def test_long_settings_are_shortened(tmp_path, dicom):
    path = write(scan(1), tmp_path / "result", replace(RUN, settings={"angles": list(range(1000))}))[0]
    assert dicom.complaints("dciodvfy", "-new", path) == []
    assert dcmread(path).DerivationDescription.endswith("... (shortened)")


def test_target_must_be_free(tmp_path):
    (tmp_path / "empty").mkdir()
    assert len(write(scan(), tmp_path / "empty")) == 3
    for taken in (tmp_path / "empty", tmp_path / "empty/0001.dcm"):
        with pytest.raises(OutputError, match="is not empty|is a file"):
            write(scan(), taken)
    with pytest.raises(OutputError, match="cannot be written"):
        write(scan(), tmp_path / "empty/0001.dcm/below")
    assert len(write(scan(), tmp_path / "new/parents")) == 3


def test_nothing_is_left_of_a_failure(tmp_path, monkeypatch):
    save, saved = Dataset.save_as, []

    def full_disk(self, path, **options):
        if saved:
            raise OSError(28, "No space left on device")
        saved.append(path)
        save(self, path, **options)

    monkeypatch.setattr(Dataset, "save_as", full_disk)
    (tmp_path / "empty").mkdir()
    for target in ("new", "empty"):
        saved.clear()
        with pytest.raises(OutputError, match="No space left on device"):
            write(scan(), tmp_path / target)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
