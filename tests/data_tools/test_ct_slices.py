"""Slices by themselves, of folders, zip files and frames, in the order of their paths."""

import shutil
import zipfile

import numpy as np
import pytest
from pydicom.uid import (
    EnhancedCTImageStorage,
)

from ctresample.data_tools.ct_slices import iter_ct_slices, read_ct_slices
from ctresample.errors import DicomError

from .dicom.edits import set_elements, without


def test_slices_of_mixed_folders(tmp_path, dicom):
    hu = dicom.make_series(tmp_path / "b", n=2)
    dicom.make_series(tmp_path / "a", n=1, shape=(8, 8), series="2", spacing=(1, 1))
    dicom.make_series(tmp_path / "c", n=2, series="3", orientation=(1, 0, 0, 0, 0, -1))
    dicom.make_series(tmp_path / "d", n=1, edit=set_elements(ImageType=["DERIVED", "PRIMARY", "LOCALIZER"]))
    dicom.make_series(tmp_path / "e", n=1, edit=set_elements(SOPClassUID=EnhancedCTImageStorage))
    without("RescaleSlope")(tmp_path / "f", dicom)
    (tmp_path / "readme").write_text("hello")
    notes = []
    volumes = read_ct_slices(tmp_path, on_warning=notes.append)
    assert [volume.hu.shape for volume in volumes] == [(1, 8, 8), (1, 12, 16), (1, 12, 16)]
    np.testing.assert_array_equal(volumes[2].hu[0], hu[1])
    np.testing.assert_allclose(volumes[2].affine[:3, 3], (-10.5, 20.25, 32.5))
    assert volumes[0].headers[0]["0020000E"]["Value"] == ["1.2.3.2.1"]
    for count in (
        "2 files not axial",
        "1 file localizer",
        "3 files unreadable",
        "1 file not DICOM",
    ):
        assert count in notes[0]
    assert "first unreadable" in notes[0]
    assert len(read_ct_slices(tmp_path, max_slices=2)) == 2


def test_slices_of_zip_files_and_frames(tmp_path, dicom):
    """In the order of the paths, those in the archive too, then of the frames; bad frames of a file count once."""
    classic = dicom.make_series(tmp_path / "a", n=2)
    dicom.make_series(tmp_path / "unpacked", n=2, shape=(8, 8), series="2")
    with zipfile.ZipFile(tmp_path / "b", "w") as archive:
        for name in ("001.dcm", "000.dcm"):
            archive.write(tmp_path / "unpacked" / name, f"DICOM/{name}")
    packed = [volume.hu for volume in read_ct_slices(tmp_path / "unpacked")]
    shutil.rmtree(tmp_path / "unpacked")
    frames = dicom.make_multi_frame(tmp_path / "c", n=3, order=(2, 0, 1), intercepts=(-1024, -1000, -900))
    dicom.make_multi_frame(tmp_path / "cut", finish=lambda ds: setattr(ds, "PixelData", ds.PixelData[:-400]))
    dicom.make_multi_frame(tmp_path / "flat", orientation=(1, 0, 0, 0, 0, -1))
    (tmp_path / "half.zip").write_bytes((tmp_path / "b").read_bytes()[:-100])
    notes = []
    volumes = read_ct_slices(tmp_path, on_warning=notes.append)
    expected = [*classic, *(hu[0] for hu in packed), *frames[[2, 0, 1]]]
    assert len(volumes) == len(expected)
    for volume, hu in zip(volumes, expected, strict=True):
        np.testing.assert_array_equal(volume.hu[0], hu)
    assert [volume.affine[2, 3] for volume in volumes] == pytest.approx([30, 32.5, 30, 32.5, 35, 30, 32.5])
    assert "left out 1 file not axial, 2 files unreadable" in notes[0]
    assert len(read_ct_slices(tmp_path, max_slices=5)) == 5
    assert len(read_ct_slices(tmp_path / "b")) == 2


def test_slices_come_one_by_one(tmp_path, dicom, monkeypatch):
    dicom.make_series(tmp_path, n=3)
    slices = iter_ct_slices(tmp_path)
    next(slices)
    monkeypatch.setattr("ctresample.data_tools.dicom.pixels.SliceDecoder.decode", None)
    with pytest.raises(TypeError):
        next(slices)


def test_no_axial_slice(tmp_path, dicom):
    dicom.make_series(tmp_path, orientation=(0, 1, 0, 0, 0, -1))
    with pytest.raises(DicomError, match=r"no axial CT image found \(5 files not axial\)"):
        read_ct_slices(tmp_path)
