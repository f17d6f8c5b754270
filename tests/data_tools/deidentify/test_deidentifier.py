"""De-identification: judged by the table of the standard, and by searching all that comes out for what went in."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary, dictionary_VR, keyword_for_tag
from pydicom.uid import CTImageStorage

import ctresample.data_tools.deidentify as package
from ctresample.data_tools.deidentify import Deidentifier, new_key, read_or_make_key
from ctresample.data_tools.deidentify.kept_words import KEPT_WORDS
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom_export.write import Provenance, write_ct_series
from ctresample.errors import DicomError, OutputError, UsageError
from ctresample.volume import Volume

KEY = bytes(range(32))
RUN = Provenance(software_version="0.1.0", method="FBP, 25 views")
TABLE = {
    tag.replace("XXXXXX", "001010").replace("XX", "02"): action
    for tag, action in csv.reader(
        Path(package.__file__).with_name("basic_profile.tsv").read_text().splitlines(), delimiter="	"
    )
}

# a value of each kind that would give the patient away; none of them may be met again
PLANTED = {
    "AE": "PLANTEDAE",
    "AS": "077Y",
    "CS": "PLANTEDCS",
    "DA": "20210708",
    "DS": 7755.25,
    "DT": "20210708112233",
    "IS": 775525,
    "OB": "UExBTlRFRE9C",
    "OB or OW": "UExBTlRFRE9C",
    "PN": {"Alphabetic": "Planted^Name", "Ideographic": "植^名"},
    "TM": "112233",
    "UI": "1.2.77.88.99",
    "UN": "UExBTlRFRE9C",
    "UR": "http://planted",
    "US": 7755,
}


def planted(tag):
    """An element as DICOM JSON has it."""
    try:
        vr = dictionary_VR(int(tag, 16))
    except KeyError:
        vr = "LO"
    if vr == "SQ":
        return {"vr": vr, "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.77.88.99"]}, **everything("LO")}]}
    value = PLANTED.get(vr, "planted text")
    return {"vr": "OB", "InlineBinary": value} if vr in ("OB", "OB or OW", "UN") else {"vr": vr, "Value": [value]}


def everything(*vrs):
    """Every attribute of the table, or those of some kinds; and private ones."""
    found = {}
    for tag in TABLE:
        try:
            vr = dictionary_VR(int(tag, 16))
        except KeyError:
            vr = "LO"
        if not vrs or vr in vrs:
            found[tag] = planted(tag)
    found["00091001"] = {"vr": "LO", "Value": ["planted private"]}
    return found


def assert_nothing_planted(text):
    for word in ("planted", "Planted", "PLANTED", "植", "UExB", "077Y", "20210708", "112233", "7755", "1.2.77.88.99"):
        assert word not in text, word


# ---------------------------------------------------------------- export part 3: every attribute of the profile


def allowed(tag, action, new):
    """Whether the code of the table is obeyed."""
    if new is None:
        return "X" in action or tag < "0008"  # those belong to messages and files, not to images
    value = new.get("Value", [new["InlineBinary"]] if "InlineBinary" in new else [])
    if not value:
        return "Z" in action
    return ("D" in action or "Z" in action or "U" in action) and value != planted(tag).get("Value")


@pytest.mark.parametrize("nested", [False, True], ids=["top level", "in a sequence"])
def test_every_attribute_of_the_profile(nested):
    header = everything()
    if nested:  # in sequences that the profile keeps
        header = {"00089215": {"vr": "SQ", "Value": [{"0040A043": {"vr": "SQ", "Value": [header]}}]}}
    cleaned = Deidentifier(KEY).header(header)
    assert_nothing_planted(json.dumps(cleaned, ensure_ascii=False))
    items = cleaned["00089215"]["Value"][0]["0040A043"]["Value"][0] if nested else cleaned
    wrong = {tag: action for tag, action in TABLE.items() if not allowed(tag, action, items.get(tag))}
    assert wrong == {}
    assert "00091001" not in items
    if nested:  # whatever the sequence asks for is there
        assert all(tag in items for tag, action in TABLE.items() if action != "X" and tag >= "0008")


def test_the_table_is_that_of_the_standard():
    assert len(TABLE) == 620
    assert sorted(set(TABLE.values())) == ["D", "U", "X", "X/D", "X/Z", "X/Z/D", "X/Z/U*", "Z", "Z/D"]
    named = {keyword_for_tag(int(tag, 16)): action for tag, action in TABLE.items()}
    assert [named[name] for name in ("PatientName", "PatientID", "SOPInstanceUID", "StudyDescription")] == [
        *("Z", "Z/D", "U", "X")
    ]


def test_what_no_table_names():
    header = {
        "00280010": {"vr": "US", "Value": [512]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00080016": {"vr": "UI", "Value": [CTImageStorage]},  # of DICOM itself
        "0008010c": {"vr": "UI", "Value": ["1.2.77.88.99"]},  # CodingSchemeUID of somebody, and lower case
        "00181200": {"vr": "DA", "Value": ["20210708"]},
        "00181012": {"vr": "DA", "Value": ["20210708"]},
        "00100033": {"vr": "LO", "Value": ["planted: Showa 54"]},
        "00401006": {"vr": "SH", "Value": ["planted: PlacerOrderNumberProcedure"]},
        "00402006": {"vr": "SH", "Value": ["planted: PlacerOrderNumberImagingServiceRequestRetired"]},
        "00400400": {"vr": "LT", "Value": ["planted: CommentsOnTheScheduledProcedureStep"]},
        "00089999": {"vr": "LO", "Value": ["planted: no such attribute"]},
        "00080070": {"vr": "PN", "Value": [{"Alphabetic": "planted where no name belongs"}]},
        "00020016": {"vr": "AE", "Value": ["PLANTED"]},
        "7FE00010": {"vr": "OW", "InlineBinary": "UExBTlRFRE9C"},
    }
    cleaned = Deidentifier(KEY).header(header)
    assert_nothing_planted(json.dumps(cleaned))
    assert set(cleaned) & set(header) == {"00280010", "00080060", "00080016"}
    assert cleaned["00280010"]["Value"] == [512]
    assert cleaned["00080016"]["Value"] == [CTImageStorage]


def test_it_says_so():
    ds = Dataset.from_json(Deidentifier(KEY).header(everything()))
    assert ds.PatientIdentityRemoved == "YES"
    assert "PS3.15" in ds.DeidentificationMethod[0]
    (code,) = ds.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert ds.LongitudinalTemporalInformationModified == "REMOVED"


def test_report_names_attributes_and_no_values():
    deidentifier = Deidentifier(KEY)
    for _ in range(2):
        deidentifier.header(everything() | {"00080016": {"vr": "UI", "Value": [CTImageStorage]}})
    report = deidentifier.report()
    assert_nothing_planted(json.dumps(report).replace("077Y", ""))
    assert report["headers"] == 2
    rows = {(row["tag"], row["action"]): row for row in report["attributes"]}
    assert rows["(0010,0010)", "replaced by a dummy"]["name"] == "PatientName"
    assert rows["(0010,0010)", "replaced by a dummy"]["count"] == 2
    assert rows["(0008,1030)", "removed"]["name"] == "StudyDescription"
    assert rows["(0008,0018)", "UID replaced"]["name"] == "SOPInstanceUID"
    assert rows["(0008,0050)", "emptied"]["name"] == "AccessionNumber"
    assert rows["odd groups", "removed"]["count"] >= 2
    assert "(0008,0016)" not in {row["tag"] for row in report["attributes"]}  # the SOP class stays
    assert any("burned" in limit for limit in report["not_handled"])


NOT_JSON = (
    {"not a tag": {}},
    {"00080060": "x"},
    {"00089215": {"vr": "SQ", "Value": [5]}},
    {"00080060": {"Value": [1]}},
)


@pytest.mark.parametrize("header", NOT_JSON)
def test_no_dicom_json(header):
    with pytest.raises(DicomError, match="no DICOM JSON"):
        Deidentifier(KEY).header(header)


# ---------------------------------------------------------------- export part 3: pseudonyms


def uid(name, value, key=KEY):
    tag = {"study": "0020000D", "image": "00080018"}[name]
    return Deidentifier(key).header({tag: {"vr": "UI", "Value": [value]}})[tag]["Value"][0]


@given(a=st.from_regex(r"1\.[0-9]{1,30}", fullmatch=True), b=st.from_regex(r"1\.[0-9]{1,30}", fullmatch=True))
def test_uids_are_valid_and_consistent(a, b):
    new = uid("study", a)
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", new)
    assert new == uid("image", a) != a  # whatever attribute holds it
    assert (uid("study", b) == new) == (a == b)
    assert uid("study", a, bytes(32)) != new


@pytest.mark.parametrize("patient", [True, False], ids=["patient", "no patient number"])
def test_twice_with_one_key_is_once(patient):
    header = everything() if patient else {"0020000D": {"vr": "UI", "Value": ["1.2.77"]}}
    once = Deidentifier(KEY).header(header)
    assert Deidentifier(KEY).header(once) == once
    other = Deidentifier(bytes(32)).header(once)
    for tag in ("0020000D", "00100020", "00200010"):
        assert other[tag] != once[tag]


@pytest.mark.parametrize("original", ["2.25.0", "2.25.7", f"2.25.{2**128}", "2.25." + "9" * 39, "2.25.1.2", "", "x"])
def test_uids_of_others_below_2_25_are_replaced(original):
    assert uid("study", original or "1.2") != original


def test_patients_stay_apart():
    def name(patient, issuer="", study="1.2"):
        header = {
            "00100020": {"vr": "LO", "Value": [patient]},
            "00100021": {"vr": "LO", "Value": [issuer]},
            "0020000D": {"vr": "UI", "Value": [study]},
        }
        cleaned = Deidentifier(KEY).header(header)
        assert cleaned["00100010"]["Value"][0]["Alphabetic"] == f"Anonymous^{cleaned['00100020']['Value'][0]}"
        return cleaned["00100020"]["Value"][0]

    assert name("7", study="1.3") == name("7 ")
    assert len({name("7"), name("8"), name("7", "other hospital"), name("", study="1.3"), name("")}) == 5


def test_key_file(tmp_path):
    path = tmp_path / "key"
    key = read_or_make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_or_make_key(path) == key
    assert len({key, new_key(), new_key()}) == 3
    path.write_text("secret of another kind")
    with pytest.raises(UsageError, match="expected 64 hexadecimal digits") as error:
        read_or_make_key(path)
    assert "secret of" not in str(error.value)
    with pytest.raises(OutputError, match="choose a folder that exists"):
        read_or_make_key(tmp_path / "missing" / "key")
    with pytest.raises(UsageError, match="has 3 bytes"):
        Deidentifier(b"abc")


# ---------------------------------------------------------------- export part 3: derived series


def identified(ds, z):
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.update(Dataset.from_json({tag: entry for tag, entry in everything().items() if entry["vr"] not in ("OB", "SQ")}))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"1.2.77.88.99.{z}"
    for element in [element for element in ds if element.tag.group < 8]:
        del ds[element.tag]
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (f"1.2.77.88.99.{n}" for n in (101, 102, 103))
    ds.PatientSex, ds.PatientName = "F", "Planted^Name"


@pytest.fixture
def volume(tmp_path, dicom):
    dicom.make_series(tmp_path / "source", n=3, edit=identified)
    return read_ct_series(tmp_path / "source")


def test_derived_series_conforms_and_holds_no_identity(tmp_path, dicom, volume):
    cleaned = Deidentifier(KEY).volume(volume)
    paths = write_ct_series(cleaned, tmp_path / "result", description="FBP", provenance=RUN)
    for path in paths:
        assert dicom.complaints("dciodvfy", "-new", path) == []
        assert_nothing_planted(path.read_bytes().split(b"\xe0\x7f\x10\x00")[0].decode("latin-1"))
    assert dicom.complaints("dcentvfy", *paths) == []


def test_mapping_is_consistent_between_series_and_runs(tmp_path, volume):
    cleaned, again = (Deidentifier(KEY).volume(volume) for _ in range(2))
    assert cleaned == replace(again, hu=cleaned.hu, affine=cleaned.affine)
    other = Deidentifier(new_key()).volume(volume)
    sources = [Dataset.from_json(header) for header in cleaned.headers]
    paths = write_ct_series(cleaned, tmp_path / "result", description="FBP", provenance=RUN)
    for path, source in zip(paths, sources, strict=True):
        ds = dcmread(path)
        assert ds.StudyInstanceUID == source.StudyInstanceUID
        assert ds.FrameOfReferenceUID == source.FrameOfReferenceUID
        assert ds.PatientID == source.PatientID
        assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
        assert ds.PatientIdentityRemoved == "YES"
    assert len({source.SOPInstanceUID for source in sources}) == 3
    assert len({source.StudyInstanceUID for source in sources}) == 1
    assert Dataset.from_json(other.headers[0]).StudyInstanceUID != sources[0].StudyInstanceUID


def test_volumes_from_elsewhere_have_nothing_to_hide():
    volume = Volume(np.zeros((1, 4, 4), np.float32), np.eye(4))
    deidentifier = Deidentifier(KEY)
    assert deidentifier.volume(volume).headers == ()
    assert deidentifier.report()["headers"] == 0


# ---------------------------------------------------------------- canaries: every attribute there is, at every depth


def canary(tag, vr):
    """An element of an attribute with a value of its own kind that would give it away."""
    if vr == "SQ":
        return None
    if vr in ("OB", "OW", "OD", "OF", "OL", "OV", "UN", "OB or OW"):
        return {"vr": "OB", "InlineBinary": "UExBTlRFRE9C"}
    if vr == "AT":
        return {"vr": vr, "Value": ["77550077"]}
    if vr in ("DS", "IS"):
        return {"vr": vr, "Value": [f"PLANTED{tag}"]}  # words where a number belongs
    if vr in ("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"):
        return None  # numbers stay
    return {"vr": vr, "Value": [PLANTED.get(vr) if vr in ("PN", "UI", "DA", "DT", "TM") else f"PLANTED{tag}"]}


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_of_all_words_only_those_listed_stay(depth):
    header = {}
    for number, (vr, *_) in DicomDictionary.items():
        element = canary(f"{number:08X}", vr.split(" or ")[0] if vr.startswith(("US", "OB")) else vr)
        if element:
            header[f"{number:08X}"] = element
    assert len(header) > 2500
    planted_in = header
    for _ in range(depth):
        planted_in = {"00089215": {"vr": "SQ", "Value": [planted_in]}}
    cleaned = Deidentifier(KEY).header(planted_in)
    text = json.dumps(cleaned, ensure_ascii=False)
    survived = {keyword_for_tag(int(tag, 16)) for tag in re.findall("PLANTED([0-9A-F]{8})", text)}
    assert survived <= set(KEPT_WORDS)
    assert len(survived) > 20  # and those do
    for word in ("Planted^Name", "植", "UExB", "20210708", "112233", "1.2.77.88.99"):
        assert word not in text


def test_the_device_is_kept_when_asked_for():
    header = {
        "00080070": {"vr": "LO", "Value": ["Maker"]},
        "00081090": {"vr": "LO", "Value": ["Model 7"]},
        "00181020": {"vr": "LO", "Value": ["1.2"]},
        "00181000": {"vr": "LO", "Value": ["SN77"]},
        "00181002": {"vr": "UI", "Value": ["1.2.77.88.99"]},
        "00081010": {"vr": "SH", "Value": ["CT1"]},
        "00080080": {"vr": "LO", "Value": ["planted hospital"]},
    }
    assert set(Deidentifier(KEY).header(header)) & set(header) == {"00181002"}  # a UID, and replaced
    cleaned = Deidentifier(KEY, retain_device=True).header(header)
    assert {tag: cleaned[tag] for tag in header if tag in cleaned} == {
        tag: element for tag, element in header.items() if tag != "00080080"
    }
    codes = [item["00080100"]["Value"][0] for item in cleaned["00120064"]["Value"]]
    assert codes == ["113100", "113109"]
