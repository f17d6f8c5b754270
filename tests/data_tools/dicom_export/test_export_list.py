"""The acceptance list "Export", item by item, on a series that went through scan, sinogram file and reconstruction.

Its source is oblique, lossy, and names its patient in Japanese. The maps are held to the same rules. Item 6, NIfTI, is
in test_volume_files.py.
"""

import math
import subprocess
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from pydicom import dcmread

import ctresample
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.pipelines.reconstruction.maps import residual_map, uncertainty_map
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.results.images import ResultMap, write_images
from ctresample.pipelines.scan.simulate import simulate
from ctresample.result import ModelIdentity

SLANTED = (math.cos(0.26), 0, -math.sin(0.26), 0, 1, 0)
NAME = "Yamada^Tarou=山田^太郎=やまだ^たろう"
FOLDERS = ("dicom", "dicom-residual-map", "dicom-uncertainty-map")
PRIOR = ModelIdentity("toy", "ab" * 32)


def edit(ds, z):
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.PatientName, ds.InstanceNumber = NAME, 9 - z  # numbered against the order of the slices
    ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", "12.5"
    ds.LossyImageCompressionMethod = "ISO_10918_1"


@pytest.fixture(scope="module")
def case(tmp_path_factory, dicom):
    """Folder with ``source`` and ``again``, a second run; and the folders of the results."""
    root = tmp_path_factory.mktemp("export")
    dicom.make_series(root / "source", n=4, shape=(32, 32), orientation=SLANTED, spacing=(2.0, 2.0), edit=edit)
    write_sinogram(simulate(read_ct_series(root / "source"), n_views=8, size=32, photons=1e5), root / "scan.h5")
    sinogram = read_sinogram(root / "scan.h5")
    result = replace(reconstruct(sinogram, method="fbp"), model=PRIOR)
    others = [result.image_hu, result.image_hu + 20, result.image_hu - 7]
    maps = [
        ResultMap("residual", residual_map(sinogram, result.image_hu)),
        ResultMap("uncertainty", uncertainty_map(others), {"seeds": [0, 1, 2]}),
    ]
    for name, created in (("result", datetime(2026, 11, 23, 9, 8, 7)), ("again", None)):
        write_images(root / name, result, maps=maps, created=created)
    return root


@pytest.fixture(params=FOLDERS)
def paths(request, case):
    """The files of one derived series, in slice order."""
    found = sorted((case / "result" / request.param).iterdir())
    assert len(found) == 4
    return found


@pytest.fixture
def datasets(paths):
    return list(map(dcmread, paths))


@pytest.fixture
def sources(case):
    """Headers of the source, upwards along the normal, as the results are."""
    return list(map(dcmread, sorted((case / "source").iterdir())))


def test_1_no_checker_complains(paths, dicom):
    for path in paths:
        assert dicom.complaints("dciodvfy", "-new", path) == []


def test_1_source_and_results_agree(case, dicom):
    results = [path for folder in FOLDERS for path in (case / "result" / folder).iterdir()]
    complaints = dicom.complaints("dcentvfy", *(case / "source").iterdir(), *results)
    # one name in two character sets, which dcentvfy compares byte by byte
    assert [line for line in complaints if "<PatientName>" not in line] == []
    assert dicom.complaints("dcentvfy", *results) == []


def test_2_same_study_and_frame_of_reference_but_a_new_series(datasets, sources):
    for ds, source in zip(datasets, sources, strict=True):
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "StudyDate", "StudyID"):
            assert ds[keyword].value == source[keyword].value
        assert ds.SeriesInstanceUID != source.SeriesInstanceUID
    old, new = ({ds.SOPInstanceUID for ds in side} for side in (sources, datasets))
    assert len(new) == 4
    assert not old & new


def test_2_uids_are_equal_on_a_second_run_and_differ_between_series(case):
    def uids(name):
        found = map(dcmread, sorted((case / name).rglob("*.dcm")))
        return [(ds.SeriesInstanceUID, ds.SOPInstanceUID) for ds in found]

    assert uids("result") == uids("again")
    assert len({series for series, _ in uids("result")}) == 3
    assert len({image for _, image in uids("result")}) == 12


def test_3_sources_exist(datasets, sources):
    for ds, source in zip(datasets, sources, strict=True):
        (item,) = ds.SourceImageSequence
        assert (item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID) == (
            source.SOPInstanceUID,
            source.SOPClassUID,
        )
        (purpose,) = item.PurposeOfReferenceCodeSequence
        assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("121322", "DCM")
        (series,) = ds.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == source.SeriesInstanceUID != ds.SeriesInstanceUID  # no self reference
        assert item.ReferencedSOPInstanceUID not in {one.SOPInstanceUID for one in datasets}


def test_3_equipment_and_research_use(datasets):
    for ds in datasets:
        scanner, toolkit = ds.ContributingEquipmentSequence
        assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
        assert scanner.Manufacturer == "SCANNER WORKS"
        assert toolkit.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert toolkit.SoftwareVersions == ds.SoftwareVersions == ctresample.__version__
        assert PRIOR.sha256 in toolkit.ContributionDescription
        assert ds.ContentQualification == "RESEARCH"
        assert "Research use only" in ds.ImageComments


def test_4_order_step_and_time(datasets, sources):
    normal = np.cross(SLANTED[:3], SLANTED[3:])
    heights = [float(normal @ np.array(ds.ImagePositionPatient, float)) for ds in datasets]
    assert [ds.InstanceNumber for ds in datasets] == [1, 2, 3, 4]
    assert [ds.InstanceNumber for ds in sources] == [9, 8, 7, 6]
    np.testing.assert_allclose(np.diff(heights), 2.5, atol=1e-4)
    assert [float(ds.SpacingBetweenSlices) for ds in datasets] == pytest.approx([2.5] * 4)
    assert {(ds.ContentDate, ds.ContentTime) for ds in datasets} == {("20261123", "090807.000000")}


def test_4_a_japanese_name_survives(paths, datasets):
    assert {str(ds.PatientName) for ds in datasets} == {NAME}
    assert all("山田^太郎".encode() in path.read_bytes() for path in paths)


def test_4_lossy_flags_are_carried_over(datasets):
    for ds in datasets:
        assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 12.5)
        assert ds.LossyImageCompressionMethod == "ISO_10918_1"


def test_5_simpleitk_reads_the_sources_grid(paths, case, dicom):
    ours, theirs = (dicom.read_with_simpleitk(folder) for folder in (paths[0].parent, case / "source"))
    assert len(ours.names) == 4
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-5)
    assert ours.hu.shape == theirs.hu.shape


def test_5_dcm2niix_reads_one_volume_on_the_sources_grid(paths, case, tmp_path):
    grids = []
    for name, folder in (("ours", paths[0].parent), ("theirs", case / "source")):
        command = ["dcm2niix", "-z", "n", "-b", "n", "-f", name, "-o", tmp_path, folder]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        (volume,) = tmp_path.glob(f"{name}*.nii")
        header = volume.read_bytes()[:352]
        grids.append((np.frombuffer(header[40:56], "<i2").tolist(), np.frombuffer(header[280:328], "<f4")))
    assert grids[0][0] == grids[1][0]
    np.testing.assert_allclose(grids[0][1], grids[1][1], atol=1e-3)  # three rows of the affine


def test_maps_say_what_they_are(case):
    residual, uncertainty = (dcmread(case / "result" / folder / "0001.dcm") for folder in FOLDERS[1:])
    assert residual.SeriesDescription == "Residual map (HU), FBP, 8 views"
    assert uncertainty.SeriesDescription == "Uncertainty map (SD, HU), FBP, 8 views"
    for ds in (residual, uncertainty):
        assert ds.ImageComments.startswith("Map, no CT image")
        assert ds.DerivationDescription.startswith(ds.SeriesDescription)
        assert ds.RescaleType == "HU"
        assert float(ds.RescaleSlope) == 0.1
    np.testing.assert_allclose(read_ct_series(case / "result" / FOLDERS[2]).hu, np.std([0, 20, -7], ddof=1), atol=0.06)
