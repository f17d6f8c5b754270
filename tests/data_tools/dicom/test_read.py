"""CT images in: against SimpleITK, and every way a series can be broken."""

import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.errors import DicomError

from .edits import SLANTED, big_endian, compress, retag, set_elements


def shuffle(ds, z):
    ds.InstanceNumber = (7 * z) % 11


def own_slope(ds, z):
    ds.RescaleSlope, ds.RescaleIntercept = f"{0.1 + 0.3 * z:.1f}", f"{-1000.5 + z}"


@pytest.mark.parametrize(
    "build",
    [
        pytest.param({}, id="plain"),
        pytest.param({"edit": shuffle, "name": lambda z: f"{(3 * z) % 5}/x{9 - z}"}, id="shuffled"),
        pytest.param({"orientation": SLANTED}, id="oblique"),
        pytest.param({"orientation": (1, 0, 0, 0, -1, 0)}, id="descending normal"),
        pytest.param({"orientation": (1, 0, 0, 0, 0, -1)}, id="coronal"),
        pytest.param({"edit": own_slope}, id="fractional slopes"),
    ],
)
def test_agrees_with_simpleitk(tmp_path, dicom, build):
    hu = dicom.make_series(tmp_path, **build)
    if build.get("edit") is own_slope:
        z = np.arange(5)[:, None, None]
        hu = (hu + 1024) * (0.1 + 0.3 * z) - 1000.5 + z
    notes = []
    volume = read_ct_series(tmp_path, on_warning=notes.append)
    assert volume.hu.dtype == np.float32
    np.testing.assert_allclose(volume.hu, hu, atol=1e-3)
    np.testing.assert_allclose(volume.spacing_mm, (0.7, 0.8, 2.5), atol=1e-6)
    assert notes == []
    if "name" in build:
        for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
            path.rename(tmp_path / path.name)  # SimpleITK looks into one folder only
    theirs = dicom.read_with_simpleitk(tmp_path)
    np.testing.assert_allclose(volume.affine, theirs.affine, atol=1e-6)
    np.testing.assert_allclose(volume.hu, theirs.hu, atol=1e-3)


def test_headers_follow_the_slices_and_hold_no_bulk(tmp_path, dicom):
    def edit(ds, z):
        item = Dataset()
        item.CodeValue = "X"
        item.add_new(0x00420011, "OB", b"bulk")
        ds.ReferencedImageSequence = [item]
        ds.add_new(0x00091001, "LO", "private")
        ds.add_new(0x60003000, "OW", b"overlay!")
        ds.add_new(0x00283006, "OW", b"a table!")
        ds.InstanceNumber = 5 - z

    dicom.make_series(tmp_path, edit=edit)
    headers = read_ct_series(tmp_path).headers
    assert [header["00200013"]["Value"] for header in headers] == [[5], [4], [3], [2], [1]]
    assert json.loads(json.dumps(headers[0], allow_nan=False)) == headers[0]
    assert headers[0]["00081140"]["Value"] == [{"00080100": {"vr": "SH", "Value": ["X"]}}]
    assert not {"7FE00010", "00091001", "60003000", "00283006"} & set(headers[0])
    assert headers[0]["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]


@pytest.mark.parametrize(
    ("elements", "step_mm"),
    [
        ({"SpacingBetweenSlices": "-3", "SliceThickness": "2"}, 3.0),
        ({"SliceThickness": "2"}, 2.0),
        ({"SpacingBetweenSlices": "0", "SliceThickness": ""}, 1.0),
    ],
)
def test_step_of_a_lone_slice(tmp_path, dicom, elements, step_mm):
    dicom.make_series(tmp_path, n=1, edit=set_elements(**elements))
    assert read_ct_series(tmp_path).spacing_mm == pytest.approx((0.7, 0.8, step_mm))


def test_twelve_bits_signed_with_rubbish_above(tmp_path, dicom):
    def edit(ds, z):
        ds.BitsStored, ds.HighBit = 12, 11
        ds.PixelData = np.full((12, 16), 0x5FFB, "<u2").tobytes()  # -5 in 12 bits below a 5

    dicom.make_series(tmp_path, n=2, edit=edit)
    assert (read_ct_series(tmp_path).hu == -1029).all()


@pytest.mark.parametrize(
    ("elements", "padding"),
    [
        ({"PixelPaddingValue": -2000}, {-2000}),
        ({"PixelPaddingValue": 63536}, {-2000}),  # the unsigned reading of -2000
        ({"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}, {-2000, -1995, -1990}),
        ({"PixelPaddingValue": -1990, "PixelPaddingRangeLimit": -2000}, {-2000, -1995, -1990}),
        ({"PixelPaddingRangeLimit": -2000}, set()),
    ],
)
def test_padding_becomes_air(tmp_path, dicom, elements, padding):
    def edit(ds, z):
        stored = np.full((12, 16), 100)
        stored[0, :3] = -2000, -1995, -1990
        ds.PixelData = stored.astype("<i2").tobytes()
        for keyword, value in elements.items():
            ds.add_new(keyword, "US" if value > 0 else "SS", value)

    dicom.make_series(tmp_path, n=2, edit=edit)
    notes = []
    hu = read_ct_series(tmp_path, on_warning=notes.append).hu
    stored = (-2000, -1995, -1990)
    assert hu[1, 0, :3].tolist() == [-1000 if value in padding else value - 1024 for value in stored]
    assert (hu[:, 1:] == -924).all()
    found = " ".join(notes)
    assert (f"{2 * len(padding)} padding pixels set to -1000 HU" in found) == bool(padding)
    assert ("below -1024 HU" in found) == (len(padding) < 3)


def test_negative_padding_of_unsigned_pixels(tmp_path, dicom):
    def edit(ds, z):
        ds.PixelRepresentation, ds.RescaleIntercept = 0, "0"
        ds.add_new("PixelPaddingValue", "SS", -2000)
        ds.PixelData = np.tile(np.array([63536, 100], "<u2"), 96).tobytes()

    dicom.make_series(tmp_path, n=1, edit=edit)
    assert np.unique(read_ct_series(tmp_path).hu).tolist() == [-1000, 100]


def jpeg_lossless(ds, z):
    """SimpleITK is the only one at hand to encode it."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.frombuffer(ds.PixelData, "<i2").reshape(1, ds.Rows, ds.Columns))
    writer = SimpleITK.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor("JPEG")
    writer.SetFileName(f"{jpeg_lossless.folder}/encoded-{z}.tmp")
    writer.Execute(image)
    encoded = dcmread(writer.GetFileName())
    ds.file_meta.TransferSyntaxUID = encoded.file_meta.TransferSyntaxUID
    assert encoded.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    ds.PixelData = encoded.PixelData
    ds["PixelData"].is_undefined_length = True
    Path(writer.GetFileName()).unlink()


@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(compress(RLELossless), id="RLE"),
        pytest.param(compress(JPEGLSLossless), id="JPEG-LS"),
        pytest.param(jpeg_lossless, id="JPEG Lossless"),
        pytest.param(retag(DeflatedExplicitVRLittleEndian), id="deflated"),
        pytest.param(retag(ImplicitVRLittleEndian), id="implicit VR"),
        pytest.param(big_endian, id="big endian"),
    ],
)
def test_transfer_syntaxes(tmp_path, dicom, encode):
    jpeg_lossless.folder = tmp_path
    hu = dicom.make_series(tmp_path, n=2, edit=encode)
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu)


def test_nothing_tells_the_patient(tmp_path, dicom, caplog, capfd):
    """pydicom quotes odd values in warnings, log records and exceptions."""

    def edit(ds, z):
        ds.PatientName, ds.PatientID = "SECRET^NAME", "SECRET-ID"
        ds.add_new("StudyDate", "LO", "SECRETDATE")
        ds.add_new("SliceThickness", "LO", "SECRET")
        ds.add_new("SOPInstanceUID", "LO", "../SECRET")
        if z == 3:
            ds.add_new("PixelSpacing", "LO", "SECRET")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dicom.make_series(tmp_path, edit=edit)
        for path in tmp_path.iterdir():  # as LO they could be saved, as implicit VR they take their own VR again
            ds = dcmread(path)
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            ds.save_as(path, enforce_file_format=True)
    notes = []
    caplog.clear()
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(DicomError) as error:
            read_ct_series(tmp_path, on_warning=notes.append)
        (tmp_path / "003.dcm").unlink()
        slices = read_ct_slices(tmp_path, on_warning=notes.append)
    assert len(slices) == 4
    out, err = capfd.readouterr()
    told = [str(error.value), *notes, caplog.text, out, err, *(str(warning.message) for warning in caught)]
    assert "SECRET" not in " ".join(told)


def test_lossy_files_are_marked(tmp_path, dicom):
    """Some writers forget the flag; the transfer syntax cannot lie."""
    import io

    from PIL import Image
    from pydicom.encaps import encapsulate

    def edit(ds, z):
        encoded = io.BytesIO()
        Image.fromarray(np.full((12, 16), 90, np.uint8)).save(encoded, "jpeg")
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        ds.PixelData = encapsulate([encoded.getvalue()])
        ds["PixelData"].VR = "OB"

    dicom.make_series(tmp_path, n=1, edit=edit)
    assert read_ct_series(tmp_path).headers[0]["00282110"]["Value"] == ["01"]


def test_needs_no_torch():
    code = (
        "import sys, ctresample.data_tools.dicom.read, ctresample.data_tools.dicom_export.write; "
        "assert not {'torch', 'SimpleITK', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
