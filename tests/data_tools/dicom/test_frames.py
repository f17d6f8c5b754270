"""Multi-frame CT: each frame is read as the classic image it could have been."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import JPEGLSLossless, LegacyConvertedEnhancedCTImageStorage, RLELossless

from ctresample.data_tools.dicom import pixels as dicom_pixels
from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.errors import DuplicateError, SeveralSeriesError
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom_export.write import Provenance, write_ct_series
from ctresample.errors import DicomError

from .edits import SLANTED


@pytest.mark.parametrize("sop_class", [None, LegacyConvertedEnhancedCTImageStorage], ids=["enhanced", "legacy"])
@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0, 1, 0), SLANTED, (1, 0, 0, 0, -1, 0)], ids=["plain", "oblique", "down"]
)
def test_agrees_with_simpleitk(tmp_path, dicom, sop_class, orientation):
    chosen = {"sop_class": sop_class} if sop_class else {}
    hu = dicom.make_multi_frame(tmp_path / "a", intercepts=(-1000,), orientation=orientation, **chosen)
    volume, theirs = read_ct_series(tmp_path), dicom.read_with_simpleitk(tmp_path / "a")
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_array_equal(volume.hu, theirs.hu)
    np.testing.assert_allclose(volume.affine, theirs.affine, atol=1e-6)


def test_frames_lie_where_they_say(tmp_path, dicom):
    """Neither the order in the file nor the numbers in it say where a frame lies; each has its own rescale."""
    hu = dicom.make_multi_frame(tmp_path / "a", order=(3, 0, 4, 1, 2), intercepts=(-1024, -1000.5, -900, -1, 7))
    volume = read_ct_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.affine[:3, 3] == pytest.approx((-10.5, 20.25, 30))
    assert volume.spacing_mm == pytest.approx((0.7, 0.8, 2.5))
    numbers = [header["00081160"]["Value"][0] for header in volume.headers]
    assert numbers == [2, 4, 5, 1, 3]


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_frames(tmp_path, dicom, syntax):
    hu = dicom.make_multi_frame(tmp_path / "a", finish=lambda ds: ds.compress(syntax, generate_instance_uid=False))
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu)


def test_padding_of_one_frame(tmp_path, dicom):
    def edit(frame, z):
        own = Dataset()
        own.add_new("PixelPaddingValue", "SS", 100 + z)
        frame.UnassignedPerFrameConvertedAttributesSequence = [own]

    def finish(ds):
        ds.PixelData = np.repeat(np.arange(100, 105), 12 * 16).astype("<i2").tobytes()

    dicom.make_multi_frame(tmp_path / "a", edit=edit, finish=finish)
    assert (read_ct_series(tmp_path).hu == -1000).all()


def test_a_file_is_read_once_for_all_its_frames(tmp_path, dicom, monkeypatch):
    dicom.make_multi_frame(tmp_path / "a")
    opened = []
    whole = dicom_pixels.open_dicom
    monkeypatch.setattr(dicom_pixels, "open_dicom", lambda file, **k: opened.append(file) or whole(file, **k))
    read_ct_series(tmp_path)
    assert len(opened) == 1


def test_localizer_frames_are_left_out(tmp_path, dicom):
    def edit(frame, z):
        if z == 4:
            kind = Dataset()
            kind.FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
            frame.CTImageFrameTypeSequence = [kind]

    hu = dicom.make_multi_frame(tmp_path / "a", edit=edit)
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu[:4])


def test_two_planes_in_one_file(tmp_path, dicom):
    def edit(frame, z):
        if z % 2:
            plane = Dataset()
            plane.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
            frame.PlaneOrientationSequence = [plane]
            frame.PlanePositionSequence[0].ImagePositionPatient = [0, z, 0]

    dicom.make_multi_frame(tmp_path / "a", n=6, edit=edit)
    with pytest.raises(SeveralSeriesError, match=r"holds 2 stacks.*3 axial.*3 coronal"):
        read_ct_series(tmp_path)
    assert len({found.key for found in find_series(tmp_path).series}) == 2


def test_two_times_at_one_place(tmp_path, dicom):
    def edit(frame, z):
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 2.5 * (z // 2)]

    dicom.make_multi_frame(tmp_path / "a", n=4, edit=edit)
    with pytest.raises(DuplicateError, match="a frame 1 and a frame 2 lie at the same position"):
        read_ct_series(tmp_path)


def _no_rescale(frame, z):
    frame.PixelValueTransformationSequence = None


def _unspecified(frame, z):
    rescale = Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, 0, "US"
    frame.PixelValueTransformationSequence = [rescale]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intercepts": (0, 0, 0, 0, 0), "edit": _no_rescale}, "has no RescaleSlope"),
        ({"edit": _unspecified}, r"not in HU \(RescaleType 'US'\)"),  # maps of blood flow say so
        ({"finish": lambda ds: setattr(ds, "NumberOfFrames", 6)}, "declares 6 frames and describes 5"),
        (
            {"finish": lambda ds: setattr(ds, "PixelData", ds.PixelData[:-400])},
            r"expected 1920 for 12 x 16 .* in 5 frames",
        ),
        ({"finish": lambda ds: delattr(ds, "SharedFunctionalGroupsSequence")}, "no usable PixelSpacing"),
    ],
)
def test_broken(tmp_path, dicom, changes, message):
    dicom.make_multi_frame(tmp_path / "a", **changes)
    with pytest.raises(DicomError, match=message):
        read_ct_series(tmp_path)


def test_derived_series_names_the_frames(tmp_path, dicom):
    dicom.make_multi_frame(tmp_path / "source" / "a", order=(3, 0, 4, 1, 2))
    volume = read_ct_series(tmp_path / "source")
    source = dcmread(tmp_path / "source" / "a")
    paths = write_ct_series(volume, tmp_path / "out", description="test", provenance=Provenance("1", "test"))
    first = dcmread(paths[0])
    assert (first.StudyInstanceUID, first.FrameOfReferenceUID) == (source.StudyInstanceUID, source.FrameOfReferenceUID)
    named = [dcmread(path).SourceImageSequence[0] for path in paths]
    assert [item.ReferencedFrameNumber for item in named] == [2, 4, 5, 1, 3]
    assert {item.ReferencedSOPInstanceUID for item in named} == {source.SOPInstanceUID}
    assert {item.SpatialLocationsPreserved for item in named} == {"YES"}
    wrong = [line for path in paths for line in dicom.complaints("dciodvfy", "-new", path)]
    assert wrong == []
    np.testing.assert_array_equal(read_ct_series(Path(tmp_path / "out")).hu, volume.hu)
