"""Reasons of failures go into summaries that others may see."""

import pytest
from corpus import write_series
from pydicom import dcmread

from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.series import verdict
from ctresample.pipelines.batch.no_places import without_places


def spoiled(path):
    dataset = dcmread(path)
    del dataset.PixelSpacing
    return dataset


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_damaged_image_is_not_named(tmp_path, elsewhere):
    folder = tmp_path / "Doe^Jane"
    write_series(folder, "Doe_Jane", n=3)
    damaged = spoiled(folder / "Doe_Jane-001")
    (folder / "Doe_Jane-001").unlink()
    place = tmp_path / "Doe again" if elsewhere else folder
    place.mkdir(exist_ok=True)
    damaged.save_as(place / "Jane Doe 19700101.dcm")
    (found,) = find_series(tmp_path).series
    problem, _ = verdict(found)
    assert "Jane Doe 19700101.dcm has no usable PixelSpacing" in problem
    assert without_places(problem, found).startswith("a file has no usable PixelSpacing")
