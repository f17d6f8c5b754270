"""Volumes of a place that holds several."""

from __future__ import annotations

import numpy as np
import pytest

from ctresample.data_tools.ct_volumes import read_ct_volumes
from ctresample.data_tools.volume_files import write_volume_file
from ctresample.errors import DicomError
from ctresample.volume import Volume


def test_series_and_volume_files(dicom, tmp_path):
    hu = dicom.make_series(tmp_path / "a", n=5)
    dicom.make_series(tmp_path / "b", n=3, series="2")
    dicom.make_series(tmp_path / "c", n=3, series="3", orientation=(1, 0, 0, 0, 0, -1))  # coronal
    write_volume_file(Volume(hu.astype(np.float32), np.eye(4)), tmp_path / "d.nii.gz", description="")
    notes = []
    found = read_ct_volumes(tmp_path, on_warning=notes.append)
    assert [len(one.hu) for one in found] == [5, 3, 5]
    assert any("left out 1 volume; the first: a volume is not axial" in note for note in notes), notes
    three = read_ct_volumes(tmp_path / "a", max_slices=3)[0]
    np.testing.assert_array_equal(three.hu, hu[1:4])
    np.testing.assert_allclose(three.slice_origins_mm, found[0].slice_origins_mm[1:4])
    assert len(three.headers) == 3
    assert len(read_ct_volumes(tmp_path / "d.nii.gz", max_slices=9)[0].hu) == 5


def test_none(tmp_path):
    with pytest.raises(DicomError, match="no axial CT volume found"):
        read_ct_volumes(tmp_path)


def test_a_part_of_uneven_slices():
    volume = Volume(np.zeros((4, 2, 2)), np.diag([1.0, 1.0, 2.0, 1.0]), (), (0.0, 2.0, 5.0, 7.0))
    part = volume.part([1, 2, 3])
    assert part.slice_offsets_mm == (0.0, 3.0, 5.0)
    assert part.affine[2, 3] == 2
    assert volume.part([2]).slice_offsets_mm is None
