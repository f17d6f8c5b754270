"""Derived CT series out: judged by dciodvfy, dcentvfy, SimpleITK and dcm2niix."""

import json
import math
import subprocess
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword

from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.pixels import SliceDecoder
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom_export.write import (
    Provenance,
    headers_changed,
    write_ct_series,
    write_ct_slices,
)
from ctresample.errors import UsageError
from ctresample.regrid import to_square_grid
from ctresample.volume import Volume

SLANTED = (math.cos(0.26), 0, -math.sin(0.26), 0, 1, 0)
RUN = Provenance(
    software_version="0.1.0",
    method="ReSample fast, 25 views",
    settings={"n_views": 25, "steps": [1, 2]},
    weights_sha256="ab" * 32,
    seed=7,
    created=datetime(2026, 11, 23, 9, 8, 7, 6500),
)


def write(volume, folder, provenance=RUN, description="ReSample, 25 views"):
    return write_ct_series(volume, folder, description=description, provenance=provenance)


def scan(n=3, shape=(12, 16), **changes):
    """A volume that came from no DICOM file."""
    hu = np.random.default_rng(1).uniform(-1000, 2000, (n, *shape)).astype(np.float32)
    affine = np.diag([0.7, 0.8, 2.5, 1.0])
    affine[:3, 3] = -10.5, 20.25, 30
    return replace(Volume(hu, affine), **changes)


# ---------------------------------------------------------------- conformance


def lossy(ds, z):
    ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", "12.5"
    ds.LossyImageCompressionMethod = "ISO_10918_1"


def bare(ds, z):
    """Only what the reader needs, and values that no checker accepts."""
    for keyword in ("BodyPartExamined", "Manufacturer", "StudyID", "KVP", "SliceThickness", "ReferringPhysicianName"):
        delattr(ds, keyword)
    ds.PatientSex, ds.PatientPosition, ds.PatientWeight, ds.AcquisitionNumber = "X", "UPSIDE DOWN", "0", None


def paired(ds, z):
    ds.BodyPartExamined = "LUNG"


def one_sided(ds, z):
    ds.BodyPartExamined, ds.Laterality = "KNEE", "R"


def japanese(ds, z):
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def deidentified(ds, z):
    ds.PatientIdentityRemoved = "YES"


def oddly_lossy(ds, z):
    ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", "JPEG"


def far_numbered(ds, z):
    ds.SeriesNumber = 2**31 - 1


def mistyped(ds, z):
    """As anonymisers leave it behind: elements in another value representation than their own."""
    for keyword, value in (("LongitudinalTemporalInformationModified", "MODIFIED"), ("AcquisitionNumber", "1")):
        ds.add_new(tag_for_keyword(keyword), "SH", value)
    for keyword in ("StudyID", "PatientID", "PatientSex", "PatientPosition", "BodyPartExamined"):
        ds.add_new(tag_for_keyword(keyword), "LT", ds[keyword].value)


def touched(ds, z):
    """Values that no rule allows, as editors of headers and anonymisers leave them."""
    ds.StudyID, ds.AccessionNumber, ds.PatientID = "ABCDEFGHIJKLMNOPQRSTUVW", "1" * 20, "X" * 80
    ds.PatientName = f"{'Y' * 70}^Jane"
    ds.StudyDate, ds.StudyTime, ds.PatientBirthDate = "2020-03-04", "10:11:12", "4.3.1960"
    ds.StudyDescription, ds.PatientAge, ds.ContrastBolusAgent = "D" * 70, "60", "C" * 65
    ds.StudyInstanceUID = ds.FrameOfReferenceUID = "anonymized"
    ds.SeriesInstanceUID, ds.SOPInstanceUID = "anonymized series", f"anonymized {z}"
    ds.Manufacturer, ds.KVP = "M" * 65, "120"


SOURCES = {
    "touched by hand": {"edit": touched},
    "plain": {},
    "one slice": {"n": 1},
    "oblique": {"orientation": SLANTED},
    "coronal": {"orientation": (1, 0, 0, 0, 0, -1)},
    "many digits": {"origin": (-60.69999999, 1 / 3, -1234.56789), "step_mm": 5 / 3, "spacing": (2 / 3, 0.123456789)},
    "lossy": {"edit": lossy},
    "bare": {"edit": bare},
    "paired body part": {"edit": paired},
    "one side": {"edit": one_sided},
    "Japanese": {"edit": japanese},
    "de-identified": {"edit": deidentified},
    "lossy by a method of no standard": {"edit": oddly_lossy},
    "mistyped": {"edit": mistyped},
    "last of all series numbers": {"edit": far_numbered},
}


@pytest.mark.filterwarnings("ignore:(Invalid value for VR|The value length|The PN component)")
@pytest.mark.parametrize("matrix", ["same", "resampled"])
@pytest.mark.parametrize("source", SOURCES)
def test_no_checker_complains(tmp_path, dicom, source, matrix):
    dicom.make_series(tmp_path / "source", **SOURCES[source])
    volume = read_ct_series(tmp_path / "source")
    if matrix == "resampled":
        volume = to_square_grid(volume, 10)
    paths = write(volume, tmp_path / "result")
    assert [path.name for path in paths] == [f"{z + 1:04d}.dcm" for z in range(len(volume.hu))]
    for path in paths:
        assert dicom.complaints("dciodvfy", "-new", path) == []
    both = [*(tmp_path / "source").iterdir(), *paths]
    names_differ = source == "Japanese"  # the same name in two character sets, which dcentvfy compares byte by byte
    errors = [line for line in dicom.complaints("dcentvfy", *both) if line.startswith("Error")]
    assert all("<PatientName>" in line for line in errors) if names_differ else errors == []


MAY_BE_EMPTY = [
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "InstanceNumber", "Manufacturer"),
    *("PositionReferenceIndicator", "PatientPosition", "KVP", "AcquisitionNumber", "SliceThickness"),
    *("BodyPartExamined", "FrameOfReferenceUID"),
]


@pytest.mark.parametrize("emptied", [True, False], ids=["empty", "missing"])
def test_sources_without_type_2_elements(tmp_path, dicom, emptied):
    """Only whose study it is and of which day cannot be made up: a DICOMDIR would want it, says the checker."""

    def edit(ds, z):
        for keyword in MAY_BE_EMPTY:
            if emptied:
                setattr(ds, keyword, None)
            else:
                delattr(ds, keyword)

    dicom.make_series(tmp_path / "source", n=2, edit=edit)
    for path in write(read_ct_series(tmp_path / "source"), tmp_path / "result"):
        complaints = dicom.complaints("dciodvfy", "-new", path)
        assert all("DICOMDIR" in line for line in complaints)
        named = {keyword for keyword in MAY_BE_EMPTY for line in complaints if f"</{keyword}(" in line}
        assert named == {"PatientID", "StudyDate", "StudyTime"}
        assert all(keyword in dcmread(path) for keyword in MAY_BE_EMPTY if keyword != "BodyPartExamined")


def test_a_source_that_is_derived_itself(tmp_path, dicom):
    dicom.make_series(tmp_path / "source", n=2)
    first = write(read_ct_series(tmp_path / "source"), tmp_path / "first")
    second = write(read_ct_series(tmp_path / "first"), tmp_path / "second")  # by the same settings
    for path, source in zip(second, map(dcmread, first), strict=True):
        assert dicom.complaints("dciodvfy", "-new", path) == []
        ds = dcmread(path)
        assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID != ds.SOPInstanceUID
        assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID != ds.SeriesInstanceUID
        equipment = ds.ContributingEquipmentSequence
        purposes = [item.PurposeOfReferenceCodeSequence[0].CodeValue for item in equipment]
        assert purposes == ["109101", "109102", "109102"]
        assert [item.Manufacturer for item in equipment] == ["SCANNER WORKS", "ctresample", "ctresample"]
    assert dicom.complaints("dcentvfy", *(tmp_path / "source").iterdir(), *first, *second) == []


@pytest.mark.parametrize("n", [1, 3])
def test_without_a_source(tmp_path, dicom, n):
    paths = write(scan(n), tmp_path / "result")
    for path in paths:
        assert dicom.complaints("dciodvfy", "-new", path) == []
    assert dicom.complaints("dcentvfy", *paths) == []
    ds = dcmread(paths[0])
    assert "SourceImageSequence" not in ds
    assert ds.PatientID.startswith("CTR")
    other = write(scan(n, hu=scan(n).hu + 1), tmp_path / "other")
    assert dcmread(other[0]).StudyInstanceUID != ds.StudyInstanceUID


# ---------------------------------------------------------------- geometry and values


@pytest.mark.parametrize("build", ["plain", "oblique", "coronal", "many digits"])
def test_simpleitk_sees_the_same_volume(tmp_path, dicom, build):
    dicom.make_series(tmp_path / "source", **SOURCES[build])
    source = read_ct_series(tmp_path / "source")
    volume = to_square_grid(source, 10)
    write(volume, tmp_path / "result")
    theirs = dicom.read_with_simpleitk(tmp_path / "result")
    np.testing.assert_allclose(theirs.affine, volume.affine, atol=1e-6)
    np.testing.assert_allclose(theirs.affine[:3, 2], source.affine[:3, 2], atol=1e-6)
    assert np.abs(theirs.hu - volume.hu).max() <= 0.5
    assert [int(dcmread(name).InstanceNumber) for name in theirs.names] == [1, 2, 3, 4, 5]


def test_dcm2niix_sees_the_same_grid(tmp_path, dicom):
    write(scan(5), tmp_path / "result")
    done = subprocess.run(
        ["dcm2niix", "-z", "n", "-f", "out", "-o", tmp_path, tmp_path / "result"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    warnings = [line for line in done.stdout.splitlines() if "Warning" in line]
    assert all("determine manufacturer" in line for line in warnings), warnings
    header = (tmp_path / "out.nii").read_bytes()[:352]
    assert np.frombuffer(header[42:48], "<i2").tolist() == [16, 12, 5]
    np.testing.assert_allclose(np.frombuffer(header[80:92], "<f4"), (0.7, 0.8, 2.5), atol=1e-5)


@st.composite
def affines(draw):
    """Any rotation, any voxel size, either direction of the slices, far from the origin."""
    quaternion = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)))
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = rotation * draw(st.tuples(*[st.floats(0.1, 20)] * 3))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-2000, 2000)] * 3))
    return affine


@settings(max_examples=40)
@given(affine=affines())
def test_affine_survives(tmp_path_factory, affine):
    folder = tmp_path_factory.mktemp("affine") / "series"
    volume = scan(3, (4, 5), affine=affine)
    write(volume, folder)
    again = read_ct_series(folder)
    np.testing.assert_allclose(again.affine, affine, atol=1e-6)
    assert np.abs(again.hu - volume.hu).max() <= 0.5001


def test_slices_down_the_normal_keep_their_places(tmp_path):
    """A reader sorts along the normal; the array order stays in InstanceNumber."""
    affine = np.diag([0.7, 0.8, -2.5, 1.0])
    volume = scan(3, affine=affine)
    paths = write(volume, tmp_path / "result")
    assert [float(dcmread(path).ImagePositionPatient[2]) for path in paths] == [0, -2.5, -5]
    assert np.abs(read_ct_series(tmp_path / "result").hu[::-1] - volume.hu).max() <= 0.5


@pytest.mark.parametrize(
    ("low", "high", "slope"),
    [
        (-1024, 3071, 1),
        (-33792, 31743, 1),
        (-40000, 20000, 1),
        (0, 60000, 1),
        (-1e5, 2e5, 4.580153),
        (-3e9, 1e9, 61068.7),
    ],
)
def test_no_value_is_clipped(tmp_path, low, high, slope):
    hu = np.linspace(low, high, 3 * 12 * 16, dtype=np.float32).reshape(3, 12, 16)
    path = write(scan(hu=hu), tmp_path / "result")[0]
    ds = dcmread(path)
    assert float(ds.RescaleSlope) == pytest.approx(slope, rel=1e-4)
    headers = find_series(tmp_path / "result").series[0].headers
    # not the series: its values are no HU of anything
    again = np.stack([SliceDecoder().decode(header.file).hu for header in headers])
    assert np.abs(again - hu.astype(float)).max() <= 0.5 * float(ds.RescaleSlope) + 1e-6 * np.abs(hu).max()
    if low >= -1024 and slope == 1 and high < 31744:
        assert ds.RescaleIntercept == -1024


def test_step_between_slices(tmp_path, dicom):
    dicom.make_series(tmp_path / "source", edit=lambda ds, z: setattr(ds, "SpacingBetweenSlices", "99"))
    source = read_ct_series(tmp_path / "source")
    assert dcmread(write(source, tmp_path / "stack")[0]).SpacingBetweenSlices == 2.5
    lone = Volume(source.hu[:1], source.affine, source.headers[:1])
    assert dcmread(write(lone, tmp_path / "lone")[0]).SpacingBetweenSlices == 99
    assert "SpacingBetweenSlices" not in dcmread(write(scan(1), tmp_path / "scan")[0])


# ---------------------------------------------------------------- what the files say


KEPT = [
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "FrameOfReferenceUID", "PatientPosition"),
    *("BodyPartExamined", "KVP", "SliceThickness"),
]


def test_provenance(tmp_path, dicom):
    dicom.make_series(tmp_path / "source", edit=lambda ds, z: ds.add_new(0x00091001, "LO", "private"))
    volume = read_ct_series(tmp_path / "source")
    originals = [dcmread(path) for path in sorted((tmp_path / "source").iterdir())]
    for z, path in enumerate(write(volume, tmp_path / "result")):
        ds, original = dcmread(path), originals[z]
        assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert ds.ImageType == ["DERIVED", "SECONDARY", "AXIAL"]
        for keyword in KEPT:
            assert ds[keyword].value == original[keyword].value, keyword
        assert ds.SeriesNumber == 9003
        assert ds.SeriesDescription == "ReSample, 25 views"
        assert ds.InstanceNumber == z + 1
        assert (ds.ContentDate, ds.ContentTime) == ("20261123", "090807.006500")
        assert (ds.BurnedInAnnotation, ds.LossyImageCompression, ds.ContentQualification) == ("NO", "00", "RESEARCH")
        assert ds.DerivationDescription == 'ReSample fast, 25 views; settings {"n_views": 25, "steps": [1, 2]}'
        assert (ds.WindowCenter, ds.WindowWidth) == ([40, -600], [400, 1500])
        (source,) = ds.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == original.SOPInstanceUID
        assert source.ReferencedSOPClassUID == original.SOPClassUID
        assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert source.SpatialLocationsPreserved == "YES"
        (series,) = ds.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == original.SeriesInstanceUID
        assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == original.SOPInstanceUID
        scanner, toolkit = ds.ContributingEquipmentSequence
        assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
        assert (scanner.Manufacturer, scanner.ManufacturerModelName) == ("SCANNER WORKS", "Spiral 64")
        assert toolkit.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert (toolkit.Manufacturer, toolkit.SoftwareVersions) == ("ctresample", "0.1.0")
        assert toolkit.ContributionDescription == f"ReSample fast, 25 views; weights sha256 {'ab' * 32}; seed 7"
        assert toolkit.ContributionDateTime == "20261123090807.006500"
        assert not any(element.tag.is_private for element in ds.iterall())


def test_resampled_pixels_are_not_the_sources(tmp_path, dicom):
    dicom.make_series(tmp_path / "source")
    volume = read_ct_series(tmp_path / "source")
    for name, derived in (
        ("matrix", to_square_grid(volume, 10)),
        ("shift", replace(volume, affine=volume.affine + np.eye(4)[[0], :].T @ [[0, 0, 0, 0.4]])),
    ):
        ds = dcmread(write(derived, tmp_path / name)[0])
        assert ds.SourceImageSequence[0].SpatialLocationsPreserved == "NO"


def test_names_of_any_script_survive(tmp_path, dicom):
    dicom.make_series(tmp_path / "source", edit=japanese)
    ds = dcmread(write(read_ct_series(tmp_path / "source"), tmp_path / "result")[0])
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert ds.PatientName == "Yamada^Tarou=山田^太郎=やまだ^たろう"


def test_what_happened_to_the_pixels_is_carried_over(tmp_path, dicom):
    def edit(ds, z):
        if z == 3:  # one of five is enough
            lossy(ds, z)
            ds.BurnedInAnnotation = "YES"

    dicom.make_series(tmp_path / "source", edit=edit)
    ds = dcmread(write(read_ct_series(tmp_path / "source"), tmp_path / "result")[0])
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 12.5)
    assert ds.LossyImageCompressionMethod == "ISO_10918_1"
    assert ds.BurnedInAnnotation == "YES"


def test_the_first_frame_of_reference_serves_all(tmp_path, dicom):
    dicom.make_series(tmp_path / "source", edit=lambda ds, z: setattr(ds, "FrameOfReferenceUID", f"1.2.{z + 1}"))
    paths = write(read_ct_series(tmp_path / "source"), tmp_path / "result")
    assert {dcmread(path).FrameOfReferenceUID for path in paths} == {"1.2.1"}


def uids(paths):
    datasets = [dcmread(path) for path in paths]
    return {ds.SeriesInstanceUID for ds in datasets} | {ds.SOPInstanceUID for ds in datasets}


def test_equal_runs_give_equal_uids(tmp_path, dicom):
    dicom.make_series(tmp_path / "source")
    volume = read_ct_series(tmp_path / "source")
    stored = replace(volume, headers=tuple(json.loads(json.dumps(volume.headers))))  # as in a sinogram file
    first, second = write(volume, tmp_path / "a"), write(stored, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    later = write(volume, tmp_path / "later", replace(RUN, created=None))
    assert uids(later) == uids(first)
    assert len(uids(first)) == 6
    others = [
        write(volume, tmp_path / "seed", replace(RUN, seed=8)),
        write(volume, tmp_path / "settings", replace(RUN, settings={})),
        write(volume, tmp_path / "weights", replace(RUN, weights_sha256=None)),
        write(volume, tmp_path / "words", description="other"),
        write(to_square_grid(volume, 10), tmp_path / "matrix"),
    ]
    every = [uids(first), *map(uids, others), uids((tmp_path / "source").iterdir())]
    assert len(set.union(*every)) == sum(map(len, every))


# ---------------------------------------------------------------- slices of several patients


def test_slices_of_several_series(tmp_path, dicom):
    def sources(ds, z):
        ds.InstanceNumber = 9

    dicom.make_series(tmp_path / "source/a", n=3, series="1", edit=sources)
    dicom.make_series(tmp_path / "source/b", n=1, series="2")
    volumes = read_ct_slices(tmp_path / "source")
    order = [volumes[2], volumes[3], volumes[0], scan(1), volumes[1], scan(1, affine=np.eye(4))]
    paths = write_ct_slices(order, tmp_path / "result", description="ReSample", provenance=RUN)
    assert [path.name for path in paths] == [f"000{number}.dcm" for number in range(1, 7)]
    for path in paths:
        assert dicom.complaints("dciodvfy", "-new", path) == []
    errors = [line for line in dicom.complaints("dcentvfy", *paths) if line.startswith("Error")]
    assert errors == []
    written = [dcmread(path) for path in paths]
    assert [ds.InstanceNumber for ds in written] == [3, 1, 1, 1, 2, 1]
    assert [ds.PatientID for ds in written[:3]] == ["P1", "P2", "P1"]
    assert len({ds.SeriesInstanceUID for ds in written}) == 4
    assert len({ds.StudyInstanceUID for ds in written}) == 4
    assert written[0].SpacingBetweenSlices == 2.5
    for ds, volume in zip(written, order, strict=True):
        np.testing.assert_allclose(ds.pixel_array - 1024, volume.hu[0], atol=0.5)
        if volume.headers:
            source = volume.headers[0]["00080018"]["Value"][0]
            assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == source


def test_slices_of_uneven_distance_claim_no_step(tmp_path, dicom):
    dicom.make_series(tmp_path / "source", n=4)
    volumes = read_ct_slices(tmp_path / "source")
    paths = write_ct_slices([volumes[z] for z in (0, 1, 3)], tmp_path / "r", description="d", provenance=RUN)
    assert "SpacingBetweenSlices" not in dcmread(paths[0])


@pytest.mark.parametrize("volumes", [[], [scan(2)]])
def test_slices_must_be_slices(tmp_path, volumes):
    with pytest.raises(UsageError, match="expected volumes of one slice"):
        write_ct_slices(volumes, tmp_path / "result", description="d", provenance=RUN)


@pytest.mark.filterwarnings("ignore:(Invalid value for VR|The value length|The PN component)")
def test_values_that_no_rule_allows_are_mended_or_left_out_and_listed(tmp_path, dicom):
    dicom.make_series(tmp_path / "source", n=2, edit=touched)
    volume = read_ct_series(tmp_path / "source")
    assert headers_changed(volume.headers) == {
        "PatientName": "shortened",
        "PatientID": "shortened",
        "PatientBirthDate": "left out: invalid",  # day or month first, nobody knows
        "StudyDate": "date rewritten",
        "StudyTime": "time rewritten",
        "StudyID": "shortened",
        "AccessionNumber": "shortened",
        "StudyDescription": "left out: invalid",
        "PatientAge": "left out: invalid",
        "ContrastBolusAgent": "left out: invalid",
        "StudyInstanceUID": "replaced by a new UID",
        "FrameOfReferenceUID": "replaced by a new UID",
        "SourceImageSequence": "left out: the source's UIDs are missing or invalid",
    }
    ds = dcmread(write(volume, tmp_path / "out")[0])
    assert (ds.StudyDate, ds.StudyTime, ds.PatientBirthDate) == ("20200304", "101112", "")
    assert ds.PatientID.startswith("X" * 55 + "~")
    assert "SourceImageSequence" not in ds
    assert headers_changed(()) == headers_changed(({"0020000D": {"vr": "US", "Value": [4]}},)) == {}
