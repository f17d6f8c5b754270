"""Patients, phases, kernels and broken UIDs: what becomes one volume, and what never does."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset

from ctresample.data_tools.describing import describe
from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.errors import DuplicateError, GapError, SeveralSeriesError
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom.series import load_series
from ctresample.errors import DicomError

from .edits import set_elements


def group(**elements):
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return [item]


def two(folder, dicom, offset_mm, first, second, n=6):
    """Two volumes of one series, 2.5 mm steps, the second ``offset_mm`` higher; returns HU of each."""
    return [
        dicom.make_series(folder / name, n=n, origin=(0, 0, offset), edit=set_elements(**elements), shape=(12, 16))
        for name, offset, elements in (("a", 0.0, first), ("b", offset_mm, second))
    ]


# ---------------------------------------------------------------- patients and studies


@pytest.mark.parametrize("offset_mm", [0.0, 1.25, 15.0, 40.0], ids=["same place", "between", "next", "apart"])
@pytest.mark.parametrize(
    "other",
    [
        {"PatientID": "P2"},
        {"PatientName": "Roe^Richard"},
        {"PatientBirthDate": "19700101"},
        {"PatientSex": "M"},
        {"StudyInstanceUID": "1.2.9"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_two_patients_or_studies_are_never_one_volume(tmp_path, dicom, other, offset_mm):
    two(tmp_path, dicom, offset_mm, {"PatientSex": "F"} if "PatientSex" in other else {}, other)
    found = find_series(tmp_path).series
    assert [one.n_slices for one in found] == [6, 6]
    assert len({one.key for one in found}) == 2
    what = "study" if "StudyInstanceUID" in other else "patient"
    assert [one.describe().rpartition(", ")[2] for one in found] == [f"{what} {number} of 2" for number in (1, 2)]
    assert "P2" not in str(found) + found[1].describe()
    for one, z in zip(found, (0.0, offset_mm), strict=True):
        assert load_series(one).affine[2, 3] == pytest.approx(z)
    with pytest.raises(SeveralSeriesError, match="holds 2 stacks"):
        read_ct_series(tmp_path)


def test_writing_of_one_name_and_a_missing_number_make_no_second_patient(tmp_path, dicom):
    def edit(ds, z):
        ds.PatientName = "DOE^JANE^" if z % 2 else "Doe^Jane"
        if z == 3:
            del ds.PatientID, ds.PatientBirthDate

    dicom.make_series(tmp_path, edit=edit)
    assert read_ct_series(tmp_path).hu.shape[0] == 5


def test_each_of_two_patients_is_exported_as_itself(tmp_path, dicom):
    """The case of an anonymiser that gave everybody the same UIDs."""
    two(tmp_path / "in", dicom, 15.0, {"PatientID": "P0"}, {"PatientID": "P1"})
    for one, patient in zip(find_series(tmp_path / "in").series, ("P0", "P1"), strict=True):
        volume = load_series(one)
        assert {header["00100020"]["Value"][0] for header in volume.headers} == {patient}


# ---------------------------------------------------------------- phases, kernels, energies


MARKS = {
    "acquisition 2": ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
    "time 7": ({"TemporalPositionIdentifier": 3}, {"TemporalPositionIdentifier": 7}),
    "cardiac phase 75 %": ({"NominalPercentageOfCardiacPhase": 40.0}, {"NominalPercentageOfCardiacPhase": 75.0}),
    "with contrast agent": ({}, {"ContrastBolusAgent": "IOPAMIDOL"}),
    "kernel B70f": ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}),
    "tube voltage 140 kV": ({"KVP": "80"}, {"KVP": "140"}),
    "echo 2": ({"EchoNumbers": 1}, {"EchoNumbers": 2}),
    "respiratory phase 50 %": (
        {"NominalPercentageOfRespiratoryPhase": 0.0},
        {"NominalPercentageOfRespiratoryPhase": 50.0},
    ),
    "comment 2 of 2": ({"ImageComments": "inhaled"}, {"ImageComments": "exhaled"}),
    "series number 5": ({"SeriesNumber": 4}, {"SeriesNumber": 5}),
}


CASES = [(words, offset_mm) for words in MARKS for offset_mm in (0.0, 1.25)]


CASES += [("acquisition 2", 0.8), ("acquisition 2", 10.3), ("kernel B70f", 10.3)]


@pytest.mark.parametrize(("words", "offset_mm"), CASES)
def test_two_volumes_of_one_series_fall_apart(tmp_path, dicom, words, offset_mm):
    """They coincide, lie halfway between each other, elsewhere between each other, or overlap."""
    hu = two(tmp_path, dicom, offset_mm, *MARKS[words])
    found = find_series(tmp_path).series
    assert [one.n_slices for one in found] == [6, 6]
    assert words in " ".join(one.describe() for one in found)
    for one, z, values in zip(found, (0.0, offset_mm), hu, strict=True):
        volume = read_ct_series(tmp_path, series_uid=one.key)
        assert volume.spacing_mm[2] == pytest.approx(2.5)
        assert volume.affine[2, 3] == pytest.approx(z)
        np.testing.assert_array_equal(volume.hu, values)
    facts = describe(tmp_path)
    assert facts["kind"] == "2 CT series (DICOM)"
    assert "--allow-gaps" not in " ".join(facts.values())


@pytest.mark.parametrize("keyword", ["ImageType", "SliceThickness", "FrameOfReferenceUID", "AcquisitionTime"])
def test_what_often_differs_without_meaning_parts_images_at_one_position_or_in_turns(tmp_path, dicom, keyword):
    values = {
        "ImageType": (["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY", "AXIAL"]),
        "SliceThickness": ("2.5", "5"),
        "FrameOfReferenceUID": ("1.2.3.4", "1.2.3.5"),
        "AcquisitionTime": ("101010", "111010"),
    }[keyword]
    elements = [{keyword: value} for value in values]
    two(tmp_path / "same", dicom, 0.0, *elements)
    assert [one.n_slices for one in find_series(tmp_path / "same").series] == [6, 6]
    two(tmp_path / "between", dicom, 1.25, *elements)
    assert [one.n_slices for one in find_series(tmp_path / "between").series] == [6, 6]
    edits = [set_elements(**element) for element in elements]
    dicom.make_series(tmp_path / "mixed", n=12, edit=lambda ds, z: edits[z * z // 5 % 2](ds, z))
    assert [one.n_slices for one in find_series(tmp_path / "mixed").series] == [12]


def test_two_attributes_that_part_only_together(tmp_path, dicom):
    for number, (acquisition, kernel) in enumerate([(1, "A"), (1, "B"), (2, "A"), (2, "B")]):
        edit = set_elements(AcquisitionNumber=acquisition, ConvolutionKernel=kernel)
        dicom.make_series(tmp_path / str(number), origin=(0, 0, 1.25 * acquisition), edit=edit)
    found = find_series(tmp_path).series
    assert [one.n_slices for one in found] == [5] * 4
    assert "kernel B, acquisition 2" in found[3].describe()


def test_a_gap_in_one_of_two_phases_is_a_gap_of_that_one(tmp_path, dicom):
    two(tmp_path, dicom, 0.0, *MARKS["acquisition 2"])
    (tmp_path / "b" / "002.dcm").unlink()
    first, second = find_series(tmp_path).series
    assert load_series(first).hu.shape[0] == 6
    with pytest.raises(GapError):
        load_series(second)


@pytest.mark.parametrize("per", [1, 2, 4])
def test_numbers_that_change_with_the_rotation_part_nothing(tmp_path, dicom, per):
    """Of a step-and-shoot scan each rotation has its number; a slice that is missing is a gap all the same."""
    dicom.make_series(tmp_path, n=12, edit=lambda ds, z: setattr(ds, "AcquisitionNumber", z // per))
    assert [one.n_slices for one in find_series(tmp_path).series] == [12]
    (tmp_path / "005.dcm").unlink()
    with pytest.raises(GapError, match="--allow-gaps"):
        read_ct_series(tmp_path)
    assert read_ct_series(tmp_path, allow_gaps=True).hu.shape[0] == 11


def test_stations_one_above_the_other_stay_one_stack_and_the_gap_says_so(tmp_path, dicom):
    two(tmp_path, dicom, 15.0 + 3.2, *MARKS["acquisition 2"])
    with pytest.raises(GapError, match="where AcquisitionNumber changes"):
        read_ct_series(tmp_path)


def test_left_and_right_lung_of_one_series(tmp_path, dicom):
    for name, x in (("left", 40.0), ("right", -40.0)):
        dicom.make_series(tmp_path / name, origin=(x, 0, 0))
    assert [one.n_slices for one in find_series(tmp_path).series] == [5, 5]


def test_a_bolus_watched_at_one_position(tmp_path, dicom):
    def edit(ds, z):
        ds.ImagePositionPatient, ds.AcquisitionNumber = [0, 0, 0], z + 1

    dicom.make_series(tmp_path, n=4, edit=edit)
    assert [one.n_slices for one in find_series(tmp_path).series] == [1] * 4


def test_copies_with_constant_instance_uids_lose_no_image(tmp_path, dicom):
    edit = set_elements(SOPInstanceUID="1.2.3")
    dicom.make_series(tmp_path / "a", edit=edit)
    dicom.make_series(tmp_path / "b", edit=lambda ds, z: (edit(ds, z), setattr(ds, "AcquisitionNumber", 2)))
    assert [len(one.headers) for one in find_series(tmp_path).series] == [5, 5]


def test_the_key_of_a_part_does_not_depend_on_the_other(tmp_path, dicom):
    two(tmp_path, dicom, 1.25, *MARKS["acquisition 2"])
    keys = [one.key for one in find_series(tmp_path).series]
    dicom.make_series(tmp_path / "c", origin=(0, 0, 0.6), edit=set_elements(AcquisitionNumber=3))
    assert set(keys) <= {one.key for one in find_series(tmp_path).series}


@pytest.mark.parametrize("offset_mm", [0.0, 1.25])
@pytest.mark.parametrize(
    ("sequence", "keyword", "words"),
    [
        ("FrameContentSequence", "FrameAcquisitionNumber", "acquisition 2"),
        ("FrameContentSequence", "TemporalPositionIndex", "time 2"),
        ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", "cardiac phase 2 %"),
        ("CTReconstructionSequence", "ConvolutionKernel", "kernel 2"),
    ],
)
def test_frames_fall_apart_alike(tmp_path, dicom, sequence, keyword, words, offset_mm):
    def edit(frame, z):
        value = {"ConvolutionKernel": str, "NominalPercentageOfCardiacPhase": float}.get(keyword, int)(1 + z // 4)
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 2.5 * (z % 4) + offset_mm * (z // 4)]
        setattr(frame, sequence, group(**{keyword: value}))

    hu = dicom.make_multi_frame(tmp_path / "a", n=8, edit=edit)
    found = find_series(tmp_path).series
    assert [one.n_slices for one in found] == [4, 4]
    assert words in found[1].describe()
    np.testing.assert_array_equal(load_series(found[1]).hu, hu[4:])


# ---------------------------------------------------------------- broken UIDs


def broken_uids(ds, z, how):
    if how == "none":
        del ds.SeriesInstanceUID
    elif how == "one a slice":
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = (f"1.2.{k}.{z + 1}" for k in (4, 5, 6))
    else:
        ds.SeriesInstanceUID = "anonymized"


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("how", ["none", "one a slice", "constant"])
def test_one_series_a_folder(tmp_path, dicom, how):
    hu = [
        dicom.make_series(tmp_path / name, n=n, edit=lambda ds, z: broken_uids(ds, z, how))
        for name, n in (("a", 5), ("b", 4))
    ]
    if how != "constant":
        with pytest.raises(DicomError, match="--one-series"):
            read_ct_series(tmp_path / "a")
    notes = []
    volume = read_ct_series(tmp_path / "a", one_series=True, on_warning=notes.append)
    np.testing.assert_array_equal(volume.hu, hu[0])
    assert "taken as one series" in notes[-1]
    assert len({str(header.get("0020000D")) for header in volume.headers}) == 1  # so that it can be exported
    found = find_series(tmp_path, one_series=True).series
    assert [one.n_slices for one in found] == [5, 4]
    assert len({one.key for one in found}) == 2
    facts = describe(tmp_path, one_series=True)
    assert facts["kind"] == "2 CT series (DICOM)"


def test_one_series_never_joins_patients(tmp_path, dicom):
    dicom.make_series(
        tmp_path, n=6, edit=lambda ds, z: (broken_uids(ds, z, "none"), setattr(ds, "PatientID", f"{z % 2}"))
    )
    assert [one.n_slices for one in find_series(tmp_path, one_series=True).series] == [3, 3]


@pytest.mark.parametrize("how", ["missing", "constant"])
def test_slice_location_is_the_last_resort_and_said_aloud(tmp_path, dicom, how):
    def edit(ds, z):
        ds.SliceLocation = str(2.5 * z)
        if how == "missing":
            del ds.ImagePositionPatient
        else:
            ds.ImagePositionPatient = [0, 0, 0]

    hu = dicom.make_series(tmp_path, edit=edit)
    with pytest.raises(DicomError, match=r"SliceLocation.*--one-series") as caught:
        read_ct_series(tmp_path)
    assert "truncated" not in str(caught.value)
    notes = []
    volume = read_ct_series(tmp_path, one_series=True, on_warning=notes.append)
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.spacing_mm[2] == pytest.approx(2.5)
    assert any("order may be reversed" in note for note in notes)


def test_one_position_and_nothing_else(tmp_path, dicom):
    dicom.make_series(tmp_path, edit=set_elements(ImagePositionPatient=[0, 0, 0]))
    for one_series in (False, True):
        (found,) = find_series(tmp_path, one_series=one_series).series
        with pytest.raises(DuplicateError, match="keep only one acquisition"):
            load_series(found)


def test_a_header_shows_no_patient(tmp_path, dicom):
    dicom.make_series(tmp_path, n=1)
    (header,) = find_series(tmp_path).series[0].headers
    assert header.patient == ("P1", "doe jane", "19600102", "F")
    assert "doe" not in repr(replace(header, doubts=()))
