"""What reconstruct and simulate write besides one DICOM series: other formats, maps, de-identified results."""

import json
import shutil
from dataclasses import replace
from itertools import pairwise

import nibabel
import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread

from ctresample.choices import FORMATS
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.data_tools.sinogram.writing import write_sinogram

PLANTED = ("Planted", "PLANTED", "20210708", "112233", "1.2.77.88")


@pytest.fixture(scope="module")
def identified(tmp_path_factory, make_series):
    """A series full of things that must not come out."""
    folder = make_series(tmp_path_factory.mktemp("identified") / "source")
    for z, path in enumerate(sorted(folder.iterdir())):
        ds = dcmread(path)
        ds.PatientName, ds.PatientID, ds.AccessionNumber = "Planted^Name", "PLANTED1", "PLANTED2"
        ds.InstitutionName, ds.StudyDescription, ds.SeriesDescription = "Planted Clinic", "Planted study", "Planted"
        ds.StudyDate = ds.SeriesDate = ds.ContentDate = ds.AcquisitionDate = "20210708"
        ds.StudyTime = ds.ContentTime = "112233"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (f"1.2.77.88.{n}" for n in (1, 2, 3))
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.77.88.4.{z}"
        ds.add_new(0x00091001, "LO", "Planted private")
        ds.save_as(path)
    return folder


def assert_holds_nothing_planted(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(word.encode() in content for word in PLANTED), path.name
        assert not any(word in path.name for word in PLANTED)


def test_formats(cli, scan, tmp_path):
    out = tmp_path / "out"
    done = cli("reconstruct", scan, "-o", out, "--method", "fbp", "--format", "dicom,nifti,nrrd")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == [
        *("dicom", "reconstruction.nii.gz", "reconstruction.nrrd", "report.html", "run.json")
    ]
    series = read_ct_series(out / "dicom")
    nrrd = SimpleITK.ReadImage(str(out / "reconstruction.nrrd"))
    assert np.abs(SimpleITK.GetArrayFromImage(nrrd) - series.hu).max() <= 0.5
    np.testing.assert_allclose(nrrd.GetOrigin(), series.affine[:3, 3])
    nifti = nibabel.load(out / "reconstruction.nii.gz")
    np.testing.assert_allclose(nifti.affine, np.diag([-1, -1, 1, 1]) @ series.affine, atol=1e-4)
    assert np.abs(nifti.get_fdata().T - series.hu).max() <= 0.5


def test_help_names_every_format(cli):
    assert ", ".join(FORMATS) in " ".join(cli("reconstruct", "--help").output.replace("│", "").split())


def test_only_nrrd(cli, scan, tmp_path):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--method", "fbp", "--format", "nrrd")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "reconstruction.nrrd",
        "report.html",
        "run.json",
    ]


MAPS = ("--residual-map", "--origin-map", "--tv-difference-map")
TITLES = {
    "residual": "Residual map (HU)",
    "origin": "Origin map: not measured (HU)",
    "tv-difference": "Difference to TV (RMS over 1 cm2, HU)",
    "uncertainty": "Uncertainty map (SD, HU)",
}


def test_maps(cli, make_series, prior, tmp_path):
    scan, out = tmp_path / "scan.h5", tmp_path / "out"
    source = make_series(tmp_path / "source", n=1)
    assert cli("simulate", source, "-o", scan, "--views", 8, "--size", 32, "--photons", "1e5").exit_code == 0
    words = ("reconstruct", scan, "--prior", prior, "--device", "cpu")
    done = cli(*words, "-o", out, "--seed", 5, "--format", "dicom,nrrd", *MAPS, "--uncertainty", 2)
    assert done.exit_code == 0, done.output
    record = json.loads((out / "run.json").read_text())
    assert record["seed"] == 5
    assert record["maps"]["uncertainty"]["seeds"] == [5, 6]
    main, found, headers = read_ct_series(out / "dicom"), {}, [dcmread(min((out / "dicom").iterdir()))]
    assert record["maps"]["origin"]["spread_hu"] == 40
    page = (out / "report.html").read_text()
    for kind, title in TITLES.items():
        volume = found[kind] = read_ct_series(out / f"dicom-{kind}-map")
        exact = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(out / f"{kind}-map.nrrd")))
        assert np.abs(volume.hu - exact).max() <= 0.0501
        np.testing.assert_allclose(volume.affine, main.affine)
        assert record["maps"][kind]["rms_hu"] == pytest.approx(np.sqrt(np.mean(exact.astype(float) ** 2)))
        assert f"{kind} map" in done.stdout
        assert f"{kind} map" in page
        ds = dcmread(min((out / f"dicom-{kind}-map").iterdir()))
        assert ds.SeriesDescription.startswith(title)
        assert "no CT image" in ds.ImageComments
        assert title in ds.DerivationDescription
        headers.append(ds)
    assert len({ds.SeriesInstanceUID for ds in headers}) == len({ds.SeriesNumber for ds in headers}) == 5
    assert len({ds.StudyInstanceUID for ds in headers}) == 1

    assert cli(*words, "-o", tmp_path / "other", "--seed", 6).exit_code == 0
    hu = [main.hu, read_ct_series(tmp_path / "other" / "dicom").hu]  # so the image written is not that of seed 6
    np.testing.assert_allclose(found["uncertainty"].hu, np.std(hu, axis=0, ddof=1), atol=1)  # of HU rounded to 1
    assert found["uncertainty"].hu.max() > 1


def test_maps_are_conformant(cli, dicom_complaints, identified, tmp_path):
    scan, out = tmp_path / "scan.h5", tmp_path / "out"
    assert cli("simulate", identified, "-o", scan, "--views", 12, "--size", 32).exit_code == 0
    assert cli("reconstruct", scan, "-o", out, "--method", "fbp", *MAPS).exit_code == 0
    for path in out.glob("dicom-*-map/*"):
        assert dicom_complaints("dciodvfy", "-new", path) == []
    assert dicom_complaints("dcentvfy", *out.rglob("*.dcm")) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "dicom,png"), "expected some of dicom, nifti, nrrd"),
        (("--uncertainty", 2), "fbp draws none; expected one of resample"),
        (("--deidentification-key", "key"), "--deidentify"),
    ],
)
def test_wrong_usage(cli, scan, tmp_path, words, message):
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--method", "fbp", *words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_uneven_slices_are_no_nifti(cli, make_series, tmp_path):
    folder = make_series(tmp_path / "source", n=4)
    sorted(folder.iterdir())[2].unlink()
    scan, out = tmp_path / "scan.h5", tmp_path / "out"
    done = cli("simulate", folder, "-o", scan, "--views", 8, "--size", 32, "--allow-gaps")
    assert done.exit_code == 0, done.output
    done = cli("reconstruct", scan, "-o", out, "--method", "fbp", "--format", "dicom,nifti")
    assert done.exit_code == 1
    assert "not evenly spaced" in done.stderr
    assert not out.exists()
    assert cli("reconstruct", scan, "-o", out, "--method", "fbp").exit_code == 0
    heights = [float(dcmread(path).ImagePositionPatient[2]) for path in sorted((out / "dicom").iterdir())]
    assert [b - a for a, b in pairwise(heights)] == [2.5, 5.0]


# ---------------------------------------------------------------- export part 3: de-identification


def test_a_deidentified_scan_holds_no_identity(cli, identified, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    words = ("simulate", identified, "--views", 8, "--size", 32, "--deidentify")
    done = cli(*words, "-o", out / "scan.h5", "--deidentification-key", tmp_path / "key")
    assert done.exit_code == 0, done.output
    assert "not handled: text burned into the pixels, faces" in done.stderr
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    sinogram = read_sinogram(out / "scan.h5")
    assert not any(word in json.dumps(sinogram.headers) + sinogram.origin for word in PLANTED)
    report = json.loads((out / "scan.deidentification.json").read_text())
    assert report["headers"] == 3
    assert "PatientName" in {row["name"] for row in report["attributes"]}
    assert_holds_nothing_planted(out)
    again = cli(*words, "-o", out / "again.h5", "--deidentification-key", tmp_path / "key")
    other = cli(*words, "-o", out / "other.h5")
    assert (again.exit_code, other.exit_code) == (0, 0)
    assert read_sinogram(out / "again.h5").headers == sinogram.headers  # one key, one mapping
    assert read_sinogram(out / "other.h5").headers != sinogram.headers


def test_a_deidentified_result_is_compared_with_its_source(cli, identified, make_series, tmp_path):
    scan = tmp_path / "scan.h5"
    assert cli("simulate", identified, "-o", scan, "--views", 8, "--size", 32).exit_code == 0
    shutil.copytree(identified, tmp_path / "both" / "a")
    make_series(tmp_path / "both" / "b", series="2")  # the source is known by its UID
    words = ("reconstruct", scan, "-o", tmp_path / "out", "--method", "fbp", "--deidentify")
    done = cli(*words, "--against", tmp_path / "both")
    assert done.exit_code == 0, done.output
    assert "PSNR" in done.stdout


def test_a_deidentified_result_holds_no_identity(cli, identified, dicom_complaints, tmp_path):
    scan, out, key = tmp_path / "scan.h5", tmp_path / "out", tmp_path / "key"
    assert cli("simulate", identified, "-o", scan, "--views", 8, "--size", 32).exit_code == 0
    words = ("reconstruct", scan, "--method", "fbp", "--format", "dicom,nifti,nrrd", "--residual-map", "--deidentify")
    done = cli(*words, "-o", out, "--deidentification-key", key)
    assert done.exit_code == 0, done.output
    assert not any(word in done.stdout + done.stderr for word in PLANTED)
    assert json.loads((out / "deidentification.json").read_text())["headers"] == 3
    assert_holds_nothing_planted(out)
    for path in out.rglob("*.dcm"):
        assert dicom_complaints("dciodvfy", "-new", path) == []
    assert dicom_complaints("dcentvfy", *out.rglob("*.dcm")) == []
    hidden = tmp_path / "hidden.h5"  # the same key de-identifies the source: references lead there
    assert (
        cli(
            *("simulate", identified, "-o", hidden, "--views", 8, "--size", 32, "--deidentify"),
            *("--deidentification-key", key),
        ).exit_code
        == 0
    )
    sources = [header["00080018"]["Value"][0] for header in read_sinogram(hidden).headers]
    files = sorted((out / "dicom").iterdir())
    assert [dcmread(path).SourceImageSequence[0].ReferencedSOPInstanceUID for path in files] == sources
    assert {dcmread(path).ContentDate for path in files} == {"19000101"}  # not even the day of processing
    assert cli(*words, "-o", tmp_path / "again", "--deidentification-key", key).exit_code == 0
    assert (
        cli(*("reconstruct", hidden, *words[2:]), "-o", tmp_path / "twice", "--deidentification-key", key).exit_code
        == 0
    )
    for name in ("again", "twice"):  # the latter from the scan that was de-identified already
        others = sorted((tmp_path / name / "dicom").iterdir())
        assert [path.read_bytes() for path in files] == [path.read_bytes() for path in others]


def test_what_cannot_be_exported_is_refused_before_the_solve(cli, scan, tmp_path, monkeypatch):
    """A scan whose slices name two studies; other formats work, and the message says so."""
    sinogram = read_sinogram(scan)
    headers = tuple(
        {**header, "0020000D": {"vr": "UI", "Value": [f"1.2.{z}"]}} for z, header in enumerate(sinogram.headers)
    )
    write_sinogram(replace(sinogram, headers=headers), tmp_path / "two.h5")

    def never(*arguments, **options):
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr("ctresample.pipelines.reconstruction.solve_parts.make_projector", never)
        done = cli("reconstruct", tmp_path / "two.h5", "-o", tmp_path / "out", "--method", "tv")
    assert done.exit_code == 1
    assert f"come from {len(headers)} studies" in done.stderr
    assert "--format nifti,nrrd" in done.stderr
    assert not (tmp_path / "out").exists()
    done = cli("reconstruct", tmp_path / "two.h5", "-o", tmp_path / "out", "--method", "fbp", "--format", "nifti,nrrd")
    assert done.exit_code == 0, done.output
