"""Every way a series can be broken: what is said of it."""

from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    JPEG2000Lossless,
    RLELossless,
)

from ctresample.data_tools.dicom import codecs as dicom_codecs
from ctresample.data_tools.dicom import files as dicom_files
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.errors import DicomError

from .edits import compress, retag, set_elements, without


def gap(folder, dicom):
    dicom.make_series(folder)
    (folder / "002.dcm").unlink()


def clash(folder, dicom):
    dicom.make_series(folder)
    dicom.make_series(folder / "again", edit=lambda ds, z: setattr(ds, "RescaleIntercept", "-1000"))


def tilt(folder, dicom):
    lean = np.tan(np.radians(15)) * 2.5

    def edit(ds, z):
        x, y, height = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, f"{y + z * lean:.6f}", height]

    dicom.make_series(folder, edit=edit)


def having(**elements):
    return lambda folder, dicom: dicom.make_series(folder, n=2, edit=set_elements(**elements))


def cut(n_bytes, edit=lambda ds, z: None):
    def build(folder, dicom):
        dicom.make_series(folder, edit=edit)
        path = folder / "003.dcm"
        path.write_bytes(path.read_bytes()[:n_bytes])

    return build


def text_only(folder, dicom):
    (folder / "a.dcm").write_text("hello")


BROKEN = {
    "gap": (gap, r"gap or uneven step: 5.00 mm between 001.dcm and 003.dcm; expected 2.50 mm"),
    "duplicate": (clash, r"000.dcm and 000.dcm lie at the same position with different pixels"),
    "tilt": (tilt, r"shift sideways.* tilt of 15.0 degrees"),
    "empty folder": (lambda folder, dicom: None, r"no CT image \(no files\)"),
    "text file": (text_only, r"no CT image \(1 file not DICOM\)"),
    "localizers only": (having(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "2 files localizer"),
    "truncated pixels": (cut(-100), r"003.dcm has 284 bytes of pixel data; expected 384 .* truncated"),
    "truncated RLE": (cut(-100, compress(RLELossless)), "003.dcm"),
    "truncated deflated": (cut(-100, retag(DeflatedExplicitVRLittleEndian)), "003.dcm is damaged"),
    "truncated header": (cut(600), "003.dcm has no"),
    "no pixels": (without("PixelData"), "000.dcm has no PixelData"),
    "no slope": (without("RescaleSlope"), "000.dcm has no RescaleSlope and RescaleIntercept; .* not HU"),
    "no rescale": (without("RescaleSlope", "RescaleIntercept"), "not HU"),
    "slope 0": (having(RescaleSlope="0"), "slope not 0"),
    "bits at the high end": (having(BitsStored=12, HighBit=15), "12 bits up to bit 15; expected them at the low end"),
    "electron density": (having(RescaleType="ED"), r"2 files not in HU \(RescaleType 'ED'\)"),
    "no position": (without("ImagePositionPatient"), "no usable ImagePositionPatient; expected 3"),
    "empty spacing": (having(PixelSpacing=None), "no usable PixelSpacing"),
    "spacing 0": (having(PixelSpacing=["0", "1"]), "PixelSpacing 0, 1; expected distances above 0"),
    "skewed orientation": (having(ImageOrientationPatient=[1, 0, 0, 0.5, 0.8, 0]), "orthogonal unit vectors"),
    "no series": (without("SeriesInstanceUID"), "no SeriesInstanceUID"),
    "a huge matrix": (having(Rows=65535, Columns=65535), "declares 65535 x 65535"),
    "more rows than data": (having(Rows=13), "expected 416 for 13 x 16"),
    "fewer rows than data": (having(Rows=11), "expected 352 for 11 x 16"),
    "colour": (
        having(SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0),
        "PhotometricInterpretation RGB",
    ),
    "samples": (having(SamplesPerPixel=3), r"3 sample\(s\) of 16 bits; expected 1, 1 of 8, 16 or 32"),
    "frames": (having(NumberOfFrames=2), "has 384 bytes of pixel data; expected 768 .* in 2 frames"),
    "multi-frame": (having(SOPClassUID=EnhancedCTImageStorage), "000.dcm declares 1 frames and describes 0"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_series(tmp_path, dicom, case):
    build, message = BROKEN[case]
    build(tmp_path, dicom)
    with pytest.raises(DicomError, match=message) as caught:
        read_ct_series(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_place(tmp_path):
    with pytest.raises(DicomError, match="nowhere is not there; expected a folder"):
        read_ct_series(tmp_path / "nowhere")


def test_a_folder_that_may_not_be_searched(tmp_path, monkeypatch):
    def denied(folder):
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr("os.scandir", denied)  # the tests may run as root, whom nothing is denied
    with pytest.raises(DicomError, match="cannot be searched .Permission denied"):
        read_ct_series(tmp_path)


def test_a_deflated_bomb_is_not_inflated(tmp_path, dicom, monkeypatch):
    dicom.make_series(tmp_path, n=1, shape=(64, 64), edit=retag(DeflatedExplicitVRLittleEndian))
    monkeypatch.setattr(dicom_files, "MAX_INFLATED_BYTES", 5000)
    with pytest.raises(DicomError, match="000.dcm inflates to over"):
        read_ct_series(tmp_path)


def test_a_volume_that_does_not_fit(tmp_path, dicom, monkeypatch):
    def full(*arguments, **options):
        raise MemoryError

    dicom.make_series(tmp_path)
    monkeypatch.setattr("ctresample.data_tools.dicom.series.np.empty", full)
    with pytest.raises(DicomError, match="5 slices of 12 x 16 pixels take 0.0 GiB, more than there is"):
        read_ct_series(tmp_path)


def test_decoder_missing(tmp_path, dicom, monkeypatch):
    edits = (compress(RLELossless), retag(JPEG2000Lossless))
    dicom.make_series(tmp_path, n=1, edit=lambda ds, z: [edit(ds, z) for edit in edits])
    monkeypatch.setattr(dicom_codecs, "get_decoder", lambda syntax: SimpleNamespace(is_available=False))
    with pytest.raises(DicomError, match="000.dcm is compressed as JPEG 2000 .*: pip install pylibjpeg"):
        read_ct_series(tmp_path)


def test_retired_compression(tmp_path, dicom):
    edits = (compress(RLELossless), retag("1.2.840.10008.1.2.4.94"))
    dicom.make_series(tmp_path, n=1, edit=lambda ds, z: [edit(ds, z) for edit in edits])
    with pytest.raises(DicomError, match="JPIP Referenced.* not supported; convert it"):
        read_ct_series(tmp_path)
