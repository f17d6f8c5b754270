"""Maps, wrong signs, lost intercepts: what is certainly no HU is left out, what is doubtful is said with its cause."""

import re

import numpy as np
import pytest
from pydicom import Dataset

from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.data_tools.describing import describe
from ctresample.data_tools.dicom.neighbours import neighbour_doubts
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom.values import ValueCounts
from ctresample.errors import DicomError

MAP = ["DERIVED", "SECONDARY", "AXIAL"]


def body(n=24):
    """HU of a cylinder of tissue with bone and fat, in air."""
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    hu = np.where(x**2 + y**2 < (0.4 * n) ** 2, 40, -1000)
    hu[n // 2, n // 2 :][:4] = 800
    hu[n // 2 - 3, n // 2 :][:4] = -100
    return hu


def write(folder, dicom, stored, **elements):
    """Three slices of given stored values, 16 bits."""

    def edit(ds, z):
        ds.PixelData = np.asarray(stored).astype("<u2").tobytes()
        for keyword, value in elements.items():
            setattr(ds, keyword, value)

    dicom.make_series(folder, n=3, shape=np.shape(stored), edit=edit)


def item(**elements):
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


NO_HU = {
    "blood flow": ({"ImageType": [*MAP, "CBF"]}, r"ImageType CBF \(blood flow\)"),
    "blood flow, called HU": ({"ImageType": [*MAP, "CBF"], "RescaleType": "HU"}, "ImageType CBF"),
    "blood volume": ({"ImageType": [*MAP, "PERF", "CBV_MAP"]}, "ImageType CBV"),
    "transit time": ({"ImageType": [*MAP, "TMAX"]}, "ImageType TMAX"),
    "atomic number": ({"ImageType": [*MAP, "EFF_ATOMIC_NUM"], "RescaleType": "US"}, "ImageType EFF_ATOMIC_NUM"),
    "electron density": ({"ImageType": [*MAP, "ELECTRON_DENSITY"]}, "ImageType ELECTRON_DENSITY"),
    "permeability": ({"ImageType": [*MAP, "K_TRANS"]}, r"ImageType KTRANS \(permeability\)"),
    "lung": ({"ImageType": [*MAP, "LUNG_BV"]}, "ImageType BV"),
    "iodine": ({"ImageType": [*MAP, "MAT_SPECIFIC"]}, r"ImageType MAT_SPECIFIC \(material\)"),
    "milligrams": ({"RescaleType": "MGML"}, "RescaleType 'MGML'"),
    "multi-energy": (
        {"RescaleType": "US", "MultienergyCTAcquisition": "YES"},
        "a multi-energy image of RescaleType",
    ),
    "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "PhotometricInterpretation PALETTE COLOR"),
    "RGB": ({"PhotometricInterpretation": "RGB"}, "PhotometricInterpretation RGB"),
    "unit": (
        {"RealWorldValueMappingSequence": [item(MeasurementUnitsCodeSequence=[item(CodeValue="ml/(100.ml).min")])]},
        r"unit 'ml/\(100\.ml\)\.min'",
    ),
}


@pytest.mark.parametrize("what", NO_HU)
def test_a_map_is_left_out_with_the_reason(tmp_path, dicom, what):
    elements, reason = NO_HU[what]
    write(tmp_path / "map", dicom, body() + 1024, **elements)
    with pytest.raises(DicomError, match=rf"3 files not in HU \({reason}"):
        read_ct_series(tmp_path)
    with pytest.raises(DicomError, match="not in HU"):
        read_ct_slices(tmp_path)
    dicom.make_series(tmp_path / "ct", series="2", shape=(24, 24))
    assert describe(tmp_path)["left out"].startswith("3 files not in HU")


HU = {
    "plain": {},
    "maximum": {"ImageType": [*MAP, "MAXIMUM"]},
    "virtual monochromatic": {"ImageType": [*MAP, "VMI"], "MultienergyCTAcquisition": "YES", "RescaleType": "HU"},
    "material in HU": {"ImageType": [*MAP, "MAT_SPECIFIC"], "RescaleType": "HU"},
    "vendor words": {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI DUAL"], "RescaleType": "US"},
    "dotted HU": {"RescaleType": "H.U."},
    "low dose, calcium": {"ImageType": [*MAP, "LOW_DOSE", "CALCIUM_SCORING"]},
    "unit HU": {
        "RealWorldValueMappingSequence": [item(MeasurementUnitsCodeSequence=[item(CodeValue="[hnsf'U]")])],
    },
}


@pytest.mark.parametrize("what", HU)
def test_what_is_in_hu_is_read_without_a_word(tmp_path, dicom, what):
    write(tmp_path, dicom, body() + 1024, **HU[what])
    notes = []
    np.testing.assert_array_equal(read_ct_series(tmp_path, on_warning=notes.append).hu[0], body())
    assert notes == []


DOUBTFUL = {
    "signed pixels declared unsigned": (
        body(),
        {"PixelRepresentation": 0, "RescaleIntercept": "0"},
        r"reach 65436 HU.*signed pixels declared as unsigned \(PixelRepresentation\)\?",
    ),
    "intercept lost": (body() + 1024, {"RescaleIntercept": "0"}, "RescaleIntercept is 0 over values counted from 0"),
    "a picture": ((body() + 1000) // 8, {"RescaleIntercept": "0"}, "grey values of a picture, 0 to 255"),
    "inside the body": (np.full((24, 24), 1064) + body() // 50, {}, "a field of view inside the body"),
    "attenuation": (body() + 1024, {"RescaleSlope": "0.00002", "RescaleIntercept": "0"}, "such as attenuation"),
    "intercept twice": (body(), {"PixelRepresentation": 1}, "pixels lie below -1024 HU.*RescaleIntercept twice"),
    "too steep": (body() + 1024, {"RescaleSlope": "8"}, "RescaleSlope, unit"),
    "too flat": (body() + 1024, {"RescaleSlope": "0.1"}, "air alone"),
    "shifted": (body() + 1024, {"RescaleIntercept": "-500"}, "no value lies within 300 HU of water|near air"),
    "perfusion": (body() + 1024, {"ImageType": [*MAP, "PERFUSION"]}, "ImageType PERFUSION: a map"),
    "projection": (body() + 1024, {"ImageType": [*MAP, "MIP_10MM"]}, "ImageType MIP: a projection"),
    "negative slope": (body() + 1024, {"RescaleSlope": "-1"}, "RescaleSlope is negative"),
}


@pytest.mark.parametrize("what", DOUBTFUL)
def test_doubtful_values_are_named_with_the_cause(tmp_path, dicom, what):
    stored, elements, cause = DOUBTFUL[what]
    write(tmp_path, dicom, stored, **elements)
    notes = []
    read_ct_series(tmp_path, on_warning=notes.append)
    assert any(re.search(cause, note) for note in notes), notes


def test_single_slices_are_judged_one_by_one(tmp_path, dicom):
    write(tmp_path / "a", dicom, body() + 1024)
    write(tmp_path / "b", dicom, body() + 1024, RescaleIntercept="0")
    notes = []
    assert len(read_ct_slices(tmp_path, on_warning=notes.append)) == 6
    assert any("3 images may not be in HU: RescaleIntercept is 0" in note for note in notes)


@pytest.mark.parametrize("intercept", ["20000", "-30000"])
def test_values_that_nothing_has_are_refused(tmp_path, dicom, intercept):
    write(tmp_path, dicom, body() + 1024, RescaleIntercept=intercept)
    with pytest.raises(DicomError, match="none between -1100 and 4000 HU"):
        read_ct_series(tmp_path)
    with pytest.raises(DicomError, match="no axial CT image found"):
        read_ct_slices(tmp_path)


def test_metal_and_padding_are_no_doubt(tmp_path, dicom):
    hu = body()
    hu[10:12, 10:12] = 12_000
    stored = hu + 1024
    stored[:3] = 65535 - 2000
    write(tmp_path, dicom, stored, PixelRepresentation=1, PixelPaddingValue=-2001)
    notes = []
    read_ct_series(tmp_path, on_warning=notes.append)
    assert notes == [f"{tmp_path}: 216 padding pixels set to -1000 HU (air)"]


def test_counts_add_up():
    random = np.random.default_rng(0)
    parts = [random.uniform(low, high, 50).astype(np.float32) for low, high in ((-3000, 0), (-100, 9000), (3, 4))]
    sums = sum(map(ValueCounts.of, parts), ValueCounts())
    assert sums == ValueCounts.of(np.concatenate(parts))
    assert ValueCounts() + ValueCounts.of(parts[0]) == ValueCounts.of(parts[0])


@pytest.mark.parametrize(
    ("spacing", "message"),
    [((1e-30, 1e-30), "PixelSpacing 1e-30, 1e-30"), ((1e4, 1e4), "PixelSpacing 10000"), ((0.0, 1.0), "above 0")],
)
def test_pixels_of_no_scanner(tmp_path, dicom, spacing, message):
    dicom.make_series(tmp_path, n=2, edit=lambda ds, z: setattr(ds, "PixelSpacing", [f"{mm:g}" for mm in spacing]))
    with pytest.raises(DicomError, match=message):
        read_ct_series(tmp_path)


@pytest.mark.parametrize(
    ("spacing", "cause"), [((0.0007, 0.0007), "in mm"), ((25.0, 25.0), "in mm"), ((0.7, 70), "digit")]
)
def test_doubtful_pixels_are_named(tmp_path, dicom, spacing, cause):
    dicom.make_series(tmp_path, n=2, spacing=spacing)
    notes = []
    read_ct_series(tmp_path, on_warning=notes.append)
    assert any(cause in note for note in notes)


@pytest.mark.parametrize(("thickness", "cause"), [("0.1", "apart"), ("80", "PixelSpacing in mm"), ("2.5", "")])
def test_thickness_tells_of_other_units(tmp_path, dicom, thickness, cause):
    dicom.make_series(tmp_path, edit=lambda ds, z: setattr(ds, "SliceThickness", thickness))
    notes = []
    read_ct_series(tmp_path, on_warning=notes.append)
    assert any(cause in note for note in notes) if cause else not notes


def steady(n=12):
    """HU of a body that changes from slice to slice, with noise."""
    noise = np.random.default_rng(0).normal(0, 20, (n, 24, 24))
    return (noise + np.stack([np.roll(body(), z // 6, axis=0) for z in range(n)])).astype(np.float32)


def test_steady_slices_are_no_doubt():
    assert neighbour_doubts(steady()) == neighbour_doubts(steady(5)[::2]) == []


def test_two_scans_in_turns_are_told_though_no_header_says_so():
    hu = steady()
    hu[::2] += np.where(hu[::2] > -500, 80, 0)
    assert "two scans that take turns" in neighbour_doubts(hu)[0]


@pytest.mark.parametrize("place", [0, 5, 11])
@pytest.mark.parametrize("change", [lambda hu: hu + 1024, lambda hu: 0 * hu - 1000], ids=["rescale", "empty"])
def test_a_slice_unlike_its_neighbours_is_named(place, change):
    hu = steady()
    hu[place] = change(hu[place])
    (doubt,) = neighbour_doubts(hu, [f"{z}.dcm" for z in range(12)])
    assert doubt.startswith(f"slice {place}.dcm differs much")


def test_a_position_beyond_all_scanners(tmp_path, dicom):
    dicom.make_series(tmp_path, n=2, origin=(0, 0, 1e30))
    with pytest.raises(DicomError, match="lies 1e.30 mm from the origin"):
        read_ct_series(tmp_path)


def test_of_several_series_each_is_looked_at(tmp_path, dicom):
    write(tmp_path / "a", dicom, body() + 1024)
    write(tmp_path / "b", dicom, body() + 1024, SeriesInstanceUID="1.2.9", RescaleIntercept="0")
    write(tmp_path / "c", dicom, body() + 1024, SeriesInstanceUID="1.2.10", RescaleIntercept="20000")
    facts = describe(tmp_path)
    assert "note 1" not in facts
    assert "RescaleIntercept is 0" in facts["note 2"]
    assert "none between -1100 and 4000 HU" in facts["problem 3"]
