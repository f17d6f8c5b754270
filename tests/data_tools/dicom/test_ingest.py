"""What reading clinical CT must show, item by item; the numbers are those of the acceptance list."""

import subprocess

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.errors import DuplicateError, GapError, SeveralSeriesError, TiltError
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom.series import check_series, load_series, verdict
from ctresample.data_tools.dicom_export.write import Provenance, write_ct_series
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import DicomError
from ctresample.pipelines.scan.simulate import simulate
from ctresample.volume import Volume

from .edits import SLANTED, big_endian, compress, retag


def uneven(folder, dicom):
    """Slices 0, 1, 3, 4, 7 of eight."""
    hu = dicom.make_series(folder, n=8)
    for z in (2, 5, 6):
        (folder / f"{z:03d}.dcm").unlink()
    return hu[[0, 1, 3, 4, 7]]


def tilted(folder, dicom, degrees=18.5, **changes):
    """A gantry tilt about the x axis; (0018,1120) tells another angle, as it often does."""
    normal_step, lean = 2.5, 2.5 * np.tan(np.radians(degrees))

    def edit(ds, z):
        x, y, height = map(float, ds.ImagePositionPatient)
        ds.ImagePositionPatient = [x, f"{y + z * lean:.6f}", f"{height:.6f}"]
        ds.GantryDetectorTilt = "3"

    return dicom.make_series(folder, edit=edit, step_mm=normal_step, **changes)


def test_01_nested_folders_without_extensions_among_junk(tmp_path, dicom):
    hu = dicom.make_series(tmp_path, name=lambda z: f"{'ab'[z % 2]}/deep/{z}/IM{9 - z}")
    (tmp_path / "a" / "readme.dcm").write_text("text whatever its name says " * 20)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(40))
    (tmp_path / "b" / "empty").touch()
    (tmp_path / "b" / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    (tmp_path / "loop").symlink_to(tmp_path)
    notes = []
    for place in (tmp_path, tmp_path / "DICOMDIR"):
        np.testing.assert_array_equal(read_ct_series(place, on_warning=notes.append).hu, hu)
    assert "3 files not DICOM" in notes[0]
    assert sum(find_series(tmp_path).left_out.values()) == 4


def test_01_a_dicomdir_stands_for_its_folder_and_is_not_followed(tmp_path, dicom):
    hu = dicom.make_series(tmp_path / "disc" / "A", name=lambda z: f"I{z}")
    dicom.make_series(tmp_path / "outside", series="2", name=lambda z: f"O{z}")
    (tmp_path / "disc" / "B").mkdir()
    for path in (tmp_path / "outside").iterdir():
        (tmp_path / "disc" / "B" / path.name).write_bytes(path.read_bytes())
    names = [f"{folder}/{path.name}" for folder in "AB" for path in sorted((tmp_path / "disc" / folder).iterdir())]
    subprocess.run(["/usr/bin/dcmmkdir", "+m", "-Nxc", *names], cwd=tmp_path / "disc", check=True, capture_output=True)
    content = (tmp_path / "disc" / "DICOMDIR").read_bytes()
    assert content.count(b"B\\O") == 5
    for name in names[5:]:
        (tmp_path / "disc" / name).unlink()
    (tmp_path / "disc" / "DICOMDIR").write_bytes(content.replace(b"B\\O", b"..\\"))
    notes = []
    for place in (tmp_path / "disc" / "DICOMDIR", tmp_path / "disc"):
        np.testing.assert_array_equal(read_ct_series(place, on_warning=notes.append).hu, hu)
    assert "1 file not a CT image" in notes[0]


def test_02_two_series_are_listed_and_never_merged(tmp_path, dicom):
    first = dicom.make_series(tmp_path / "mixed", name=lambda z: f"{z}-a")
    second = dicom.make_series(tmp_path / "mixed", series="2", n=3, name=lambda z: f"{z}-b")
    with pytest.raises(
        SeveralSeriesError, match=r"holds 2 stacks.*--series: 1\.2\.3\.1\.1 .*; 1\.2\.3\.2\.1 "
    ) as caught:
        read_ct_series(tmp_path)
    assert "5 axial slices of 12 x 16" in str(caught.value)
    found = find_series(tmp_path).series
    assert [one.n_slices for one in found] == [5, 3]
    for one, hu in zip(found, (first, second), strict=True):
        np.testing.assert_array_equal(load_series(one).hu, hu)
        for name in (one.series_uid, one.key):
            np.testing.assert_array_equal(read_ct_series(tmp_path, series_uid=name).hu, hu)


def test_02_the_key_of_a_stack_does_not_depend_on_its_neighbours(tmp_path, dicom):
    dicom.make_series(tmp_path / "a")
    (key,) = (one.key for one in find_series(tmp_path).series)
    dicom.make_series(tmp_path / "0", shape=(8, 8))  # the same series UID, another matrix
    keys = [one.key for one in find_series(tmp_path).series]
    assert key in keys
    assert len(set(keys)) == 2


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), SLANTED, (1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1)])
def test_03_shuffled_names_and_numbers(tmp_path, dicom, orientation):
    """Plain, oblique, descending and sagittal, with pixels that are not square."""

    def shuffle(ds, z):
        ds.InstanceNumber = (5, 1, 4, 2, 3)[z]
        ds.SliceLocation = str(-z)

    dicom.make_series(tmp_path, orientation=orientation, edit=shuffle, name=lambda z: f"{(3 * z) % 5}.dcm")
    volume, theirs = read_ct_series(tmp_path), dicom.read_with_simpleitk(tmp_path)
    np.testing.assert_array_equal(volume.hu, theirs.hu)
    np.testing.assert_allclose(volume.affine, theirs.affine, atol=1e-6)


@pytest.mark.parametrize("shape", [(12, 16), (40, 30)], ids=["same size", "other size"])
@pytest.mark.parametrize("says_so", [True, False], ids=["declared", "undeclared"])
def test_04_localizer_left_out(tmp_path, dicom, shape, says_so):
    hu = dicom.make_series(tmp_path)

    def edit(ds, z):
        if says_so:
            ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    dicom.make_series(tmp_path / "scout", n=1, shape=shape, orientation=(1, 0, 0, 0, 0, -1), edit=edit)
    notes = []
    np.testing.assert_array_equal(read_ct_series(tmp_path, on_warning=notes.append).hu, hu)
    assert ("1 file localizer" if says_so else "1 file of another plane than the rest of its series") in notes[0]


def test_05_gap_is_an_error_and_true_positions_survive_to_the_export(tmp_path, dicom):
    hu = uneven(tmp_path / "source", dicom)
    with pytest.raises(GapError, match=r"7\.50 mm between 004.dcm and 007.dcm; .*--allow-gaps"):
        read_ct_series(tmp_path / "source")
    notes = []
    volume = read_ct_series(tmp_path / "source", allow_gaps=True, on_warning=notes.append)
    np.testing.assert_array_equal(volume.hu, hu)
    heights = np.array([0, 1, 3, 4, 7]) * 2.5
    assert volume.slice_offsets_mm == pytest.approx(heights)
    assert volume.spacing_mm[2] == 3.75  # the median step, and no average of all
    assert "2.50 to 7.50 mm apart" in " ".join(notes)

    write_sinogram(simulate(volume, n_views=4, size=16), tmp_path / "s.h5")
    sinogram = read_sinogram(tmp_path / "s.h5")
    images = Volume(np.zeros((5, 16, 16), np.float32), sinogram.affine, sinogram.headers, sinogram.slice_offsets_mm)
    paths = write_ct_series(images, tmp_path / "out", description="test", provenance=Provenance("1", "test"))
    written = [dcmread(path) for path in paths]
    assert [ds.ImagePositionPatient[2] for ds in written] == pytest.approx(30 + heights)
    assert not any("SpacingBetweenSlices" in ds for ds in written)
    assert [line for path in paths for line in dicom.complaints("dciodvfy", "-new", path)] == []


def test_05_duplicate_positions(tmp_path, dicom):
    dicom.make_series(tmp_path)
    dicom.make_series(tmp_path / "again", n=2, edit=lambda ds, z: setattr(ds, "RescaleIntercept", "-1000"))
    with pytest.raises(DuplicateError, match="000.dcm and 000.dcm lie at the same position with different pixels"):
        read_ct_series(tmp_path, allow_gaps=True, resample_tilt=True)


def test_05_tilt_names_the_angle_of_the_positions(tmp_path, dicom):
    tilted(tmp_path, dicom)
    with pytest.raises(TiltError, match=r"tilt of 18\.5 degrees.*--resample-tilt") as caught:
        read_ct_series(tmp_path, allow_gaps=True)
    assert caught.value.angle_deg == pytest.approx(18.5, abs=0.01)


def test_05_tilt_resampled_upright(tmp_path, dicom):
    """Each slice holds a ramp in patient coordinates, which linear interpolation reproduces wherever it lies."""
    tilted(tmp_path, dicom, shape=(40, 16), spacing=(0.8, 0.8))
    for path in tmp_path.iterdir():
        ds = dcmread(path)
        y = float(ds.ImagePositionPatient[1]) + 0.8 * np.arange(40)
        ds.PixelData = np.repeat(np.rint(1000 + 10 * y), 16).astype("<i2").tobytes()
        ds.save_as(path)
    notes = []
    volume = read_ct_series(tmp_path, resample_tilt=True, on_warning=notes.append)
    assert "tilt of 18.5 degrees is undone" in notes[0]
    shift = 4 * 2.5 * np.tan(np.radians(18.5)) / 0.8
    assert volume.hu.shape == (5, 40 + int(np.ceil(shift)), 16)
    y = volume.affine[1, 3] + volume.affine[1, 1] * np.arange(volume.hu.shape[1])
    for z, image in enumerate(volume.hu):
        inside = (y > 20.25 + shift / 4 * 0.8 * z + 0.8) & (y < 20.25 + shift / 4 * 0.8 * z + 39 * 0.8 - 0.8)
        assert np.abs(image[inside, 5] - (10 * y[inside] - 24)).max() <= 0.501  # the rounding of stored values
    assert (volume.hu[0, -3:] == -1000).all()
    assert (volume.hu[-1, :3] == -1000).all()
    check = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    np.testing.assert_allclose(check.T @ check, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), SLANTED, (1, 0, 0, 0, -1, 0)])
def test_05_tilt_agrees_with_a_slice_by_slice_resampling_of_simpleitk(tmp_path, dicom, orientation):
    import SimpleITK

    tilted(tmp_path, dicom, shape=(40, 30), orientation=orientation)
    (found,) = find_series(tmp_path).series
    volume = load_series(found, resample_tilt=True)
    steps = np.linalg.norm(volume.affine[:3, :3], axis=0)
    for z, header in enumerate(found.headers):
        resample = SimpleITK.ResampleImageFilter()
        resample.SetSize((*volume.hu.shape[:0:-1], 1))
        resample.SetOutputOrigin(volume.slice_origins_mm[z].tolist())
        resample.SetOutputSpacing(steps.tolist())
        resample.SetOutputDirection((volume.affine[:3, :3] / steps).ravel().tolist())
        resample.SetDefaultPixelValue(-1000)
        resample.SetOutputPixelType(SimpleITK.sitkFloat64)
        image = SimpleITK.ReadImage(str(header.file.path), SimpleITK.sitkFloat64)
        theirs = SimpleITK.GetArrayFromImage(resample.Execute(image))[0]
        # the filter takes pixels to reach half a pixel beyond their centres; the outermost rows and columns differ
        inside = np.ones(theirs.shape, bool)
        for axis, n in enumerate(found.shape):
            ours = np.moveaxis(inside, axis, 0)
            place = (volume.slice_origins_mm[z] - header.position) @ header.orientation[1 - axis]
            first = -place / header.spacing_mm[axis]
            index = np.arange(len(ours))
            ours[(np.abs(index - first) < 1.5) | (np.abs(index - first - n + 1) < 1.5)] = False
        assert inside.mean() > 0.7
        np.testing.assert_allclose(volume.hu[z][inside], theirs[inside], atol=2e-2)


def test_05_a_tilt_with_gaps_needs_both_options(tmp_path, dicom):
    tilted(tmp_path, dicom)
    (tmp_path / "002.dcm").unlink()
    (found,) = find_series(tmp_path).series
    with pytest.raises(TiltError):
        check_series(found, allow_gaps=True)
    with pytest.raises(GapError):
        check_series(found, resample_tilt=True)
    assert verdict(found)[1] == ("--allow-gaps", "--resample-tilt")
    volume = load_series(found, allow_gaps=True, resample_tilt=True)
    assert volume.slice_offsets_mm == pytest.approx([0, 2.5, 7.5, 10])


def test_06_fractional_slope_of_each_slice(tmp_path, dicom):
    def edit(ds, z):
        ds.RescaleSlope, ds.RescaleIntercept = f"{0.1 + 0.3 * z:.1f}", f"{-1000.5 + z}"

    hu = dicom.make_series(tmp_path, edit=edit)
    z = np.arange(5)[:, None, None]
    np.testing.assert_allclose(read_ct_series(tmp_path).hu, (hu + 1024) * (0.1 + 0.3 * z) - 1000.5 + z, atol=1e-3)


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_06_missing_rescale(tmp_path, dicom, keyword):
    dicom.make_series(tmp_path, edit=lambda ds, z: delattr(ds, keyword))
    with pytest.raises(DicomError, match="has no RescaleSlope and RescaleIntercept"):
        read_ct_series(tmp_path)


@pytest.mark.parametrize(
    ("bits", "signed", "rubbish"),
    [(12, 1, 0), (12, 1, 0x5000), (12, 0, 0), (12, 0, 0xA000), (16, 0, 0), (16, 1, 0)],
)
def test_07_bits(tmp_path, dicom, bits, signed, rubbish):
    def edit(ds, z):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, signed
        values = np.random.default_rng(z).integers(0, 1 << bits, 12 * 16)
        ds.PixelData = (values | rubbish).astype("<u2").tobytes()

    dicom.make_series(tmp_path, edit=edit)
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, dicom.read_with_simpleitk(tmp_path).hu)


IN_PYTHON = {
    "RLE": compress(RLELossless),
    "JPEG-LS": compress(JPEGLSLossless),
    "JPEG 2000": compress(JPEG2000Lossless),
    "deflated": retag(DeflatedExplicitVRLittleEndian),
    "implicit": retag(ImplicitVRLittleEndian),
    "big endian": big_endian,
}


@pytest.mark.parametrize("name", IN_PYTHON)
def test_08_transfer_syntaxes(tmp_path, dicom, name):
    hu = dicom.make_series(tmp_path, n=2, shape=(64, 64), edit=IN_PYTHON[name])
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu)
    np.testing.assert_array_equal(dicom.read_with_simpleitk(tmp_path).hu, hu)


@pytest.mark.parametrize(
    ("options", "exact"),
    [
        (["+el"], True),  # lossless, process 14
        (["+e1"], True),  # lossless, selection value 1
        (["+ee"], False),  # extended, 12 bits
        (["+es"], False),  # spectral selection, retired
        (["+ep"], False),  # full progression, retired
        (["+eb"], False),  # baseline, 8 bits
    ],
)
def test_08_every_jpeg_that_dcmtk_writes(tmp_path, dicom, capfd, options, exact):
    def edit(ds, z):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, 0
        y, x = np.mgrid[:12, :16]
        ds.PixelData = (1000 + 100 * y + 20 * x).astype("<u2").tobytes()

    dicom.make_series(tmp_path / "plain", n=1, edit=edit)
    (tmp_path / "coded").mkdir()
    source, coded = tmp_path / "plain" / "000.dcm", tmp_path / "coded" / "000.dcm"
    subprocess.run(["/usr/bin/dcmcjpeg", *options, "+un", source, coded], check=True, capture_output=True)
    capfd.readouterr()
    hu = read_ct_series(coded).hu
    assert capfd.readouterr().err == ""
    theirs = dicom.read_with_simpleitk(coded).hu
    np.testing.assert_allclose(hu, theirs, atol=1e-3)
    assert np.abs(hu - read_ct_series(source).hu).max() <= (0 if exact else 30)


def test_08_a_file_without_preamble(tmp_path, dicom):
    hu = dicom.make_series(tmp_path, n=2)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu)
    for path in tmp_path.iterdir():  # nor a file meta group
        ds = dcmread(path, force=True)
        path.write_bytes(path.read_bytes()[ds.file_meta.FileMetaInformationGroupLength + 12 :])
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu)


def test_09_multi_frame_with_the_intercept_in_functional_groups(tmp_path, dicom):
    hu = dicom.make_multi_frame(tmp_path / "a", intercepts=(-1000,))
    volume, theirs = read_ct_series(tmp_path), dicom.read_with_simpleitk(tmp_path / "a")
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_array_equal(volume.hu, theirs.hu)
    np.testing.assert_allclose(volume.affine, theirs.affine, atol=1e-6)
