"""Which files become series: what is left out, what needs a choice, and what can change in between."""

import pickle
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from pydicom.uid import (
    MRImageStorage,
)

from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.errors import TiltError, UnreadableImageError
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom.series import load_series
from ctresample.errors import DicomError

from .edits import set_elements


def test_leaves_out_what_is_no_slice(tmp_path, dicom):
    hu = dicom.make_series(tmp_path)
    (tmp_path / "notes.dcm").write_text("no DICOM, whatever the name says " * 9)
    (tmp_path / "empty").touch()
    overview = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    dicom.make_series(tmp_path / "same", n=1, edit=set_elements(**overview))
    dicom.make_series(tmp_path / "other", n=1, shape=(20, 20), edit=set_elements(**overview))
    dicom.make_series(tmp_path / "mr", n=1, edit=set_elements(SOPClassUID=MRImageStorage))
    notes = []
    np.testing.assert_array_equal(read_ct_series(tmp_path, on_warning=notes.append).hu, hu)
    assert len(notes) == 1
    for count in ("2 files not DICOM", "2 files localizer", "1 file not a CT image"):
        assert count in notes[0]


def test_frames_of_reference_do_not_split(tmp_path, dicom):
    hu = dicom.make_series(tmp_path, edit=lambda ds, z: setattr(ds, "FrameOfReferenceUID", f"1.2.{z + 1}"))
    notes = []
    np.testing.assert_array_equal(read_ct_series(tmp_path, on_warning=notes.append).hu, hu)
    assert "5 frames of reference" in notes[0]
    (tmp_path / "002.dcm").unlink()
    with pytest.raises(DicomError, match="gap .* name 4 frames of reference"):
        read_ct_series(tmp_path)


def test_identical_copies_are_left_out(tmp_path, dicom):
    hu = dicom.make_series(tmp_path)
    (tmp_path / "copy of 002.dcm").write_bytes((tmp_path / "002.dcm").read_bytes())
    notes = []
    np.testing.assert_array_equal(read_ct_series(tmp_path, on_warning=notes.append).hu, hu)
    assert "1 identical duplicate" in notes[0]


def test_two_series_need_a_choice(tmp_path, dicom):
    dicom.make_series(tmp_path / "a", n=2)
    dicom.make_series(tmp_path / "b", n=3, shape=(8, 8), series="2", orientation=(1, 0, 0, 0, 0, -1))
    with pytest.raises(DicomError) as caught:
        read_ct_series(tmp_path)
    message = str(caught.value)
    assert "1.2.3.1.1 (2 axial slices of 12 x 16, 0.8 x 0.7 mm pixels, 2.5 mm apart)" in message
    assert "1.2.3.2.1 (3 coronal slices of 8 x 8" in message
    assert "\n" not in message
    assert read_ct_series(tmp_path, series_uid="1.2.3.2.1").hu.shape == (3, 8, 8)
    with pytest.raises(DicomError, match=r"no CT image of series 9\.9 .*2 other series"):
        read_ct_series(tmp_path, series_uid="9.9")


def test_a_damaged_image_stops_its_own_series_only(tmp_path, dicom):
    hu = dicom.make_series(tmp_path / "a", n=2)
    dicom.make_series(tmp_path / "b", series="2", edit=lambda ds, z: z == 4 and delattr(ds, "PixelSpacing"))
    notes = []
    volume = read_ct_series(tmp_path, series_uid="1.2.3.1.1", on_warning=notes.append)
    np.testing.assert_array_equal(volume.hu, hu)
    assert notes == [f"{tmp_path}: 1 damaged file(s), of other series as far as can be told"]
    with pytest.raises(UnreadableImageError, match="004.dcm has no usable PixelSpacing") as caught:
        read_ct_series(tmp_path, series_uid="1.2.3.2.1")
    assert caught.value.series_uid == "1.2.3.2.1"
    for path in (tmp_path / "b").glob("00[0-3].dcm"):
        path.unlink()
    # what is left is a series of one image that lies nowhere, as dose sheets do
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu)


def test_what_is_found_can_go_to_another_process(tmp_path, dicom):
    hu = dicom.make_series(tmp_path, edit=lambda ds, z: z == 4 and delattr(ds, "PixelSpacing"))
    (found,) = find_series(tmp_path).series
    copy = pickle.loads(pickle.dumps(found))  # noqa: S301
    assert (copy.key, copy.describe(), copy.damaged) == (found.key, found.describe(), found.damaged)
    np.testing.assert_array_equal(load_series(replace(copy, damaged={})).hu, hu[:4])
    for error in (UnreadableImageError("a", "1.2"), TiltError("b", 18.5)):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_file_that_changes_between_finding_and_loading(tmp_path, dicom):
    dicom.make_series(tmp_path)
    (found,) = find_series(tmp_path).series
    (tmp_path / "002.dcm").write_text("hello " * 99)
    with pytest.raises(DicomError, match="002.dcm has changed while it was read: not DICOM"):
        load_series(found)
    (tmp_path / "002.dcm").unlink()
    with pytest.raises(DicomError, match="002.dcm cannot be opened"):
        load_series(found)


def test_a_uid_that_is_none_is_not_shown(tmp_path, dicom):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in "ab":
            dicom.make_series(
                tmp_path / name, edit=lambda ds, z, n=name: setattr(ds, "SeriesInstanceUID", f"DOE\x1b[{n}")
            )
    with pytest.raises(DicomError, match="--series: [0-9a-f]{12} .5 axial") as caught:
        read_ct_series(tmp_path)
    assert "DOE" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_one_series_of_two_matrices(tmp_path, dicom):
    dicom.make_series(tmp_path / "a")
    dicom.make_series(tmp_path / "b", shape=(8, 8))
    with pytest.raises(DicomError, match="holds 2 stacks of slices; expected one; choose one with --series") as caught:
        read_ct_series(tmp_path)
    keys = re.findall(r"\b[0-9a-f]{12}(?= \()", str(caught.value))
    assert [read_ct_series(tmp_path, series_uid=key).hu.shape for key in keys] == [(5, 12, 16), (5, 8, 8)]
