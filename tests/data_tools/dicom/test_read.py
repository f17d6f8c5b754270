"""CT images in: against SimpleITK, and every way a series can be broken."""

import json
import logging
import pickle
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
)

from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.data_tools.dicom import codecs as dicom_codecs
from ctresample.data_tools.dicom import files as dicom_files
from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.errors import TiltError, UnreadableImageError
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom.series import load_series
from ctresample.errors import DicomError

SLANTED = (np.cos(0.26), 0, -np.sin(0.26), 0, 1, 0)


def set_elements(**elements):
    """An edit of a data set for the series builder."""

    def edit(ds, z):
        for keyword, value in elements.items():
            setattr(ds, keyword, value)

    return edit


# ---------------------------------------------------------------- geometry and values


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


def compress(syntax):
    def edit(ds, z):
        ds.compress(syntax, generate_instance_uid=False)

    return edit


def retag(syntax):
    return lambda ds, z: setattr(ds.file_meta, "TransferSyntaxUID", syntax)


def big_endian(ds, z):
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()


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


# ---------------------------------------------------------------- what belongs to the series


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


# ---------------------------------------------------------------- broken series


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


def without(*keywords):
    def build(folder, dicom):
        def edit(ds, z):
            for keyword in keywords:
                delattr(ds, keyword)

        dicom.make_series(folder, n=2, edit=edit)

    return build


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
