"""Rounded places, multi-frame files without groups, other classes, commas, filling, uneven steps made even."""

import gzip
import tarfile

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.errors import TiltError
from ctresample.data_tools.dicom.even import with_even_steps
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom.series import load_series
from ctresample.data_tools.dicom_export.write import Provenance, write_ct_series
from ctresample.data_tools.shards.source import Rejections, find_sources
from ctresample.errors import DicomError, UsageError
from ctresample.pipelines.results.against import read_source, truth_for
from ctresample.pipelines.scan.simulate import simulate

# ---------------------------------------------------------------- one tolerance


@pytest.mark.parametrize("size", [(48, 48), (64, 64)])
@pytest.mark.parametrize("share", [0.25, 3.0])
def test_cosines_that_jitter_split_only_where_a_pixel_moves(tmp_path, dicom, size, share):
    """The turn is that which moves the corner of the image by a share of a pixel."""
    angle = share * 0.7 / (np.hypot(*size) / 2 * 0.75)

    def edit(ds, z):
        turn = angle * ((z % 3) - 1)
        cosines = (np.cos(turn), np.sin(turn), 0, -np.sin(turn), np.cos(turn), 0)
        ds.ImageOrientationPatient = [f"{cosine:.8f}" for cosine in cosines]

    hu = dicom.make_series(tmp_path, n=9, shape=size, edit=edit)
    found = find_series(tmp_path).series
    assert [one.n_slices for one in found] == ([9] if share < 1 else [3, 3, 3])
    if share < 1:
        volume = load_series(found[0])
        np.testing.assert_array_equal(volume.hu, hu)
        np.testing.assert_allclose(volume.affine, dicom.read_with_simpleitk(tmp_path).affine, atol=0.2)


@pytest.mark.parametrize("spacing", [(0.25, 0.25), (0.8, 0.7), (4.0, 4.0)])
@pytest.mark.parametrize("degrees", [10, 30, 55])
def test_positions_with_one_decimal_are_no_tilt(tmp_path, dicom, spacing, degrees):
    turn = np.radians(degrees)
    orientation = (1, 0, 0, 0, np.cos(turn), np.sin(turn))

    def edit(ds, z):
        ds.ImagePositionPatient = [f"{float(place):.1f}" for place in ds.ImagePositionPatient]

    hu = dicom.make_series(tmp_path, n=20, orientation=orientation, spacing=spacing, step_mm=2.3, edit=edit)
    volume = read_ct_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.slice_offsets_mm is None
    assert volume.spacing_mm[2] == pytest.approx(2.3, abs=0.005)


def test_a_tilt_of_more_than_a_pixel_is_one(tmp_path, dicom):
    def edit(ds, z):
        x, y, height = map(float, ds.ImagePositionPatient)
        ds.ImagePositionPatient = [x, f"{y + 0.1 * z:.4f}", height]

    dicom.make_series(tmp_path, n=12, edit=edit)
    with pytest.raises(TiltError):
        read_ct_series(tmp_path)


def test_slices_of_a_microscope_lie_apart(tmp_path, dicom):
    dicom.make_series(tmp_path, n=4, spacing=(0.005, 0.005), step_mm=0.005, origin=(0, 0, 0))
    assert read_ct_series(tmp_path).spacing_mm[2] == pytest.approx(0.005)


# ---------------------------------------------------------------- frames, bits, classes


def cone_beam(folder, dicom, n=6, **elements):
    """One file of several frames with one header, as dental scanners write it; returns HU."""
    stored = np.random.default_rng(3).integers(0, 3000, (n, 12, 16))
    ds = dicom.ct_dataset(stored[0], (1, 2, 3))
    ds.NumberOfFrames, ds.PixelData = n, stored.astype("<i2").tobytes()
    del ds.SliceThickness
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    dicom.save(ds, folder / "a.dcm")
    return stored - 1024


@pytest.mark.parametrize("keyword", ["SpacingBetweenSlices", "SliceThickness"])
def test_multi_frame_without_functional_groups(tmp_path, dicom, keyword):
    hu = cone_beam(tmp_path / "in", dicom, **{keyword: "0.4"})
    volume, theirs = read_ct_series(tmp_path / "in"), dicom.read_with_simpleitk(tmp_path / "in" / "a.dcm")
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_array_equal(volume.hu, theirs.hu)
    np.testing.assert_allclose(volume.affine, [[0.7, 0, 0, 1], [0, 0.8, 0, 2], [0, 0, 0.4, 3], [0, 0, 0, 1]])
    if keyword == "SpacingBetweenSlices":
        np.testing.assert_allclose(volume.affine, theirs.affine, atol=1e-6)
    paths = write_ct_series(volume, tmp_path / "out", description="test", provenance=Provenance("1", "test"))
    assert [line for path in paths for line in dicom.complaints("dciodvfy", "-new", path)] == []
    assert "ReferencedFrameNumber" not in dcmread(paths[3]).SourceImageSequence[0]  # of a class without frames


def test_frames_that_lie_where_a_vector_says(tmp_path, dicom):
    cone_beam(tmp_path, dicom, n=3, GridFrameOffsetVector=["0", "2", "4"], SpacingBetweenSlices="9")
    assert read_ct_series(tmp_path).spacing_mm[2] == pytest.approx(2)


def test_frames_that_lie_nowhere(tmp_path, dicom):
    cone_beam(tmp_path, dicom)
    with pytest.raises(DicomError, match="neither functional groups nor SpacingBetweenSlices.*single slices"):
        read_ct_series(tmp_path)


@pytest.mark.parametrize("signed", [0, 1])
def test_pixels_of_32_bits(tmp_path, dicom, signed):
    hu = np.random.default_rng(1).integers(-1000, 3000, (3, 12, 16))

    def edit(ds, z):
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 32, 32, 31, signed
        ds.RescaleIntercept = "0" if signed else "-1000"
        ds.PixelData = (hu[z] if signed else hu[z] + 1000).astype("<i4").tobytes()

    dicom.make_series(tmp_path, n=3, edit=edit)
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu)


@pytest.mark.parametrize(
    ("sop_class", "name"),
    [
        (SecondaryCaptureImageStorage, "Secondary Capture Image Storage"),
        ("1.2.840.10008.5.1.4.1.1.13.1.2", "X-Ray 3D Craniofacial"),
        ("1.3.46.670589.5.0.10", r"1\.3\.46\.670589\.5\.0\.10"),
    ],
)
def test_ct_of_another_class_by_an_option(tmp_path, dicom, sop_class, name):
    hu = dicom.make_series(tmp_path / "in", edit=lambda ds, z: setattr(ds, "SOPClassUID", sop_class))
    with pytest.raises(DicomError, match=rf"5 files not a CT image by class.*\({name}.*--any-class"):
        read_ct_series(tmp_path / "in")
    volume = read_ct_series(tmp_path / "in", any_class=True)
    np.testing.assert_array_equal(volume.hu, hu)
    assert len(read_ct_slices(tmp_path / "in", any_class=True)) == 5
    assert len(find_sources([tmp_path / "in"], Rejections(), any_class=True)) == 5
    paths = write_ct_series(volume, tmp_path / "out", description="test", provenance=Provenance("1", "test"))
    assert [line for path in paths for line in dicom.complaints("dciodvfy", "-new", path)] == []


@pytest.mark.parametrize("missing", ["RescaleSlope", "ImageOrientationPatient", "PixelSpacing", "ImagePositionPatient"])
def test_ct_of_another_class_that_lacks_something_says_what(tmp_path, dicom, missing):
    def edit(ds, z):
        ds.SOPClassUID = SecondaryCaptureImageStorage
        delattr(ds, missing)

    dicom.make_series(tmp_path, edit=edit)
    with pytest.raises(DicomError, match=f"of Modality CT without {missing}"):
        read_ct_series(tmp_path, any_class=True)


def test_no_other_modality_passes(tmp_path, dicom):
    def edit(ds, z):
        ds.SOPClassUID, ds.Modality = SecondaryCaptureImageStorage, "MR"

    dicom.make_series(tmp_path, edit=edit)
    with pytest.raises(DicomError, match=r"not a CT image \(Secondary Capture Image Storage\)"):
        read_ct_series(tmp_path, any_class=True)


def test_raw_projections_are_called_so(tmp_path, dicom):
    def edit(ds, z):
        ds.add_new(0x70311001, "FL", 1.5)
        del ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing

    dicom.make_series(tmp_path, edit=edit)
    with pytest.raises(DicomError, match=r"5 files with raw projections \(DICOM-CT-PD\)"):
        read_ct_series(tmp_path)


# ---------------------------------------------------------------- spelling and filling


def test_decimal_commas(tmp_path, dicom):
    hu = dicom.make_series(tmp_path, spacing=(0.8, 0.7), origin=(-10.5, 20.25, 30.5))
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        for tag in (b"\x28\x00\x30\x00DS", b"\x20\x00\x32\x00DS", b"\x28\x00\x53\x10DS"):
            at = content.index(tag) + 8
            end = at + int.from_bytes(content[at - 2 : at], "little")
            content = content[:at] + content[at:end].replace(b".", b",") + content[end:]
        path.write_bytes(content)
    volume = read_ct_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.spacing_mm == pytest.approx((0.7, 0.8, 2.5))
    assert volume.affine[:3, 3] == pytest.approx((-10.5, 20.25, 30.5))


@pytest.mark.parametrize("tail", [bytes(512), b"\xff" * 33, b"\r\n", b"text behind the end of it", bytes(range(256))])
def test_filling_behind_the_file(tmp_path, dicom, tail):
    hu = dicom.make_series(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes() + tail)
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu)


@pytest.mark.parametrize("tail", [bytes(512), b"\xff" * 512])
def test_filling_behind_the_pixels(tmp_path, dicom, tail):
    hu = dicom.make_series(tmp_path, edit=lambda ds, z: setattr(ds, "PixelData", ds.PixelData + tail))
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu)


def test_a_cut_is_said_where_bytes_are_missing_only(tmp_path, dicom):
    dicom.make_series(tmp_path / "whole", n=1, edit=lambda ds, z: delattr(ds, "ImageOrientationPatient"))
    dicom.make_series(tmp_path / "cut", n=1)
    path = tmp_path / "cut" / "000.dcm"
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"\x20\x00\x37\x00DS")])
    for name, said in (("whole", False), ("cut", True)):
        with pytest.raises(DicomError, match="no usable (ImageOrientationPatient|Rows)") as caught:
            read_ct_series(tmp_path / name)
        assert ("truncated" in str(caught.value)) == said


# ---------------------------------------------------------------- archives


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar_archives(tmp_path, dicom, mode):
    hu = dicom.make_series(tmp_path / "in")
    with tarfile.open(tmp_path / "a.bin", mode) as archive:
        archive.add(tmp_path / "in", "../../outside")
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    np.testing.assert_array_equal(read_ct_series(tmp_path / "a.bin").hu, hu)
    assert sorted(tmp_path.rglob("*")) == before
    content = (tmp_path / "a.bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(content[: len(content) // 2])
    with pytest.raises(DicomError, match="no whole archive"):
        read_ct_series(tmp_path / "cut.bin")


def test_gzipped_files(tmp_path, dicom):
    hu = dicom.make_series(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.with_suffix(".dcm.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    np.testing.assert_array_equal(read_ct_series(tmp_path).hu, hu)
    np.testing.assert_array_equal(read_ct_series(tmp_path, one_series=True).hu, hu)


def test_bombs_end_within_bounds(tmp_path, dicom, monkeypatch):
    from ctresample.data_tools.dicom import archives as dicom_archives

    monkeypatch.setattr(dicom_archives, "HARMLESS_BYTES", 100_000)
    monkeypatch.setattr(dicom_archives, "MAX_MEMBER_BYTES", 50_000)
    hu = dicom.make_series(tmp_path / "in", n=2)
    dicom.make_series(tmp_path / "bomb", n=1, edit=lambda ds, z: setattr(ds, "PixelData", bytes(400_000)))
    (tmp_path / "in" / "a.dcm.gz").write_bytes(gzip.compress((tmp_path / "bomb" / "000.dcm").read_bytes()))
    with tarfile.open(tmp_path / "in" / "b.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "bomb")
    discovery = find_series(tmp_path / "in")
    np.testing.assert_array_equal(load_series(discovery.series[0]).hu, hu)
    assert sorted(line.partition(": ")[0].rpartition("/")[2].split()[0] for line in discovery.damaged) == [
        "a.dcm.gz",
        "b.tar.gz",
    ]


# ---------------------------------------------------------------- even steps


def ramp(folder, dicom):
    """Slices of one value each, ten times their height, at uneven heights."""
    heights = [0, 1, 3, 4, 9]

    def edit(ds, z):
        ds.ImagePositionPatient = [0, 0, str(heights[z])]
        ds.PixelData = np.full((12, 16), 1024 + 10 * heights[z]).astype("<i2").tobytes()

    dicom.make_series(folder, edit=edit)


def test_even_steps(tmp_path, dicom):
    ramp(tmp_path / "in", dicom)
    notes = []
    volume = read_ct_series(tmp_path / "in", even_steps_mm=1.5, on_warning=notes.append)
    assert volume.slice_offsets_mm is None
    assert volume.spacing_mm[2] == pytest.approx(1.5)
    np.testing.assert_allclose(volume.hu[:, 0, 0], 15 * np.arange(7), atol=1e-3)
    assert any("1 of 7 slices lie in gaps" in note for note in notes), notes
    assert len(volume.headers) == 7
    with pytest.raises(UsageError, match="above 0"):
        read_ct_series(tmp_path / "in", even_steps_mm=0.0)
    with pytest.raises(UsageError, match="make 900001 slices"):
        read_ct_series(tmp_path / "in", even_steps_mm=1e-5)
    sinogram = simulate(volume, n_views=4, size=16)
    assert truth_for(sinogram, read_source(tmp_path / "in", sinogram)).shape == (7, 16, 16)


def test_even_series_stay_as_they_are(tmp_path, dicom):
    hu = dicom.make_series(tmp_path)
    volume = read_ct_series(tmp_path, even_steps_mm=1.0)
    np.testing.assert_array_equal(volume.hu, hu)
    assert with_even_steps(volume, 1.0)[0] is volume


def test_the_source_of_a_scan_is_found_by_its_images(tmp_path, dicom):
    """One phase of two under one UID; and a series whose UIDs differ from slice to slice."""
    for name, number in (("a", 1), ("b", 2)):
        edit = lambda ds, z, number=number: setattr(ds, "AcquisitionNumber", number)  # noqa: E731
        dicom.make_series(tmp_path / "phases" / name, origin=(0, 0, 1.25 * number), edit=edit)
    second = load_series(find_series(tmp_path / "phases").series[1])
    found = read_source(tmp_path / "phases", simulate(second, n_views=4, size=16))
    np.testing.assert_array_equal(found.affine, second.affine)
    dicom.make_series(tmp_path / "broken", edit=lambda ds, z: setattr(ds, "SeriesInstanceUID", f"1.2.{z + 1}"))
    joined = read_ct_series(tmp_path / "broken", one_series=True)
    found = read_source(tmp_path / "broken", simulate(joined, n_views=4, size=16))
    np.testing.assert_array_equal(found.hu, joined.hu)


def test_a_set_without_groups_is_no_frame(tmp_path, dicom):
    """One frame is an ordinary image."""
    ds = dicom.ct_dataset(np.zeros((12, 16)), (0, 0, 0))
    ds.NumberOfFrames = 1
    dicom.save(ds, tmp_path / "a")
    assert find_series(tmp_path).series[0].headers[0].frame is None


def test_what_stands_where_a_number_should_is_not_told(tmp_path, dicom):
    """Damaged headers, where elements have changed places, may hold a name there."""
    dicom.make_series(tmp_path, n=1)
    (path,) = tmp_path.glob("*")
    data_set = dcmread(path)
    element = data_set["SamplesPerPixel"]
    del data_set["SamplesPerPixel"]
    data_set.add_new(element.tag, "LO", "PLANTED^NAME")
    data_set.save_as(path)
    with pytest.raises(DicomError, match="SamplesPerPixel that is no whole number") as refused:
        load_series(find_series(tmp_path).series[0])
    assert "PLANTED" not in str(refused.value)
