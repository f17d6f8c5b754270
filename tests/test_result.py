"""A result that carries itself: what it writes is what the command writes."""

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest

import ctresample
from ctresample import Volume, reconstruct, simulate, write_sinogram
from ctresample.errors import CTResampleError, GeometryError, OutputError, UsageError
from ctresample.result import ModelIdentity, Reconstruction
from ctresample.testing import priors


@pytest.fixture(autouse=True)
def one_thread(in_one_thread):
    with in_one_thread():
        yield


@pytest.fixture(scope="module")
def scan():
    hu = np.full((2, 32, 32), -1000.0)
    hu[:, 6:26, 8:24] = 40
    return simulate(Volume(hu, np.diag([2, 2, 2, 1])), n_views=12, size=32, photons=1e5)


@pytest.fixture(scope="module")
def result(scan):
    return reconstruct(scan, method="fbp")


TIMES = {"InstanceCreationTime", "StudyTime", "SeriesTime", "ContentTime", "ContributingEquipmentSequence"}


def timeless(path):
    """What a file holds, but for the moment at which it was written."""
    if path.suffix == ".dcm":
        return {one.keyword: one.value for one in pydicom.dcmread(path) if one.keyword not in TIMES}
    if path.name == "run.json":
        return {key: value for key, value in json.loads(path.read_text()).items() if key not in ("created", "seconds")}
    return path.read_bytes()


def files_of(folder):
    return {path.relative_to(folder): timeless(path) for path in folder.rglob("*") if path.is_file()}


def test_saves_what_the_command_writes(scan, result, tmp_path):
    from typer.testing import CliRunner

    from ctresample.cli import app

    write_sinogram(scan, tmp_path / "scan.h5")
    options = ["--method", "fbp", "--format", "dicom,nifti", "--device", "cpu"]
    done = CliRunner().invoke(app, ["reconstruct", str(tmp_path / "scan.h5"), "-o", str(tmp_path / "cli"), *options])
    assert done.exit_code == 0, done.output
    result.save(str(tmp_path / "saved"), formats=["dicom", "nifti"])
    result.to_dicom(tmp_path / "dicom")
    result.to_nifti(tmp_path / "image.nii.gz")
    saved = files_of(tmp_path / "saved")
    assert files_of(tmp_path / "cli") == saved and len(saved) == 5
    assert files_of(tmp_path / "dicom") == files_of(tmp_path / "saved" / "dicom")
    assert (tmp_path / "image.nii.gz").read_bytes() == (tmp_path / "saved" / "reconstruction.nii.gz").read_bytes()


def test_says_which_model_made_it(scan, tmp_path):
    prior = priors.random_prior()
    options = {"method": "pnp", "settings": None}
    assert reconstruct(scan, prior=prior, **options).model == ModelIdentity("toy", None)
    prior.save_pretrained(str(tmp_path / "prior"))
    named = reconstruct(scan, prior=str(tmp_path / "prior"), **options)
    loaded = reconstruct(scan, prior=ctresample.LatentPrior.from_pretrained(str(tmp_path / "prior")), **options)
    assert named.model == loaded.model and len(named.model.sha256) == 64
    named.save(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["prior"] == {"name": "toy", "weights_sha256": named.model.sha256}


def test_its_volume_lies_where_the_scan_does(scan, result):
    volume = result.volume
    assert volume.hu is result.image_hu
    np.testing.assert_array_equal(volume.affine, scan.affine)


@pytest.mark.parametrize(
    ("write", "error", "why"),
    [
        (lambda r, at: r.to_nifti(at / "a.nii"), UsageError, r"a\.nii; expected a name that ends with \.nii\.gz"),
        (lambda r, at: r.to_nifti(at / "none" / "a.nii.gz"), OutputError, "cannot be written"),
        (lambda r, at: r.save(at / "new", formats=["png"]), UsageError, "formats holds 'png'"),
        (lambda r, at: r.save(at), OutputError, "not empty"),
        (lambda r, at: r.to_dicom(at), OutputError, "not empty"),
        (lambda r, at: r.to_dicom(""), UsageError, "folder is ''"),
    ],
)
def test_what_cannot_be_written(result, tmp_path, write, error, why):
    (tmp_path / "there").touch()
    with pytest.raises(CTResampleError, match=why) as caught:
        write(result, tmp_path)
    assert isinstance(caught.value, error)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_parts_that_do_not_fit(scan, result):
    parts = {name: getattr(result, name) for name in Reconstruction.__dataclass_fields__}
    with pytest.raises(GeometryError, match="2 slices but 1 residual ratios, of a sinogram of 2"):
        Reconstruction(**parts | {"residual_ratio": (1.0,)})
    with pytest.raises(GeometryError, match=r"image_hu has shape \(32, 32\)"):
        Reconstruction(**parts | {"image_hu": result.image_hu[0]})


def test_what_is_known_without_a_truth_is_saved_too(scan, result, tmp_path):
    result.save(tmp_path / "out")
    trust = json.loads((tmp_path / "out" / "run.json").read_text())["trust"]
    assert trust["light"] in ("green", "yellow", "red") and len(trust["lights"]) == 4
    # a model of the same name as a bundled one, but of other weights, is not judged by the bundled one's
    other = replace(result, method="resample", preset="draft", model=ModelIdentity("ct256", "0" * 64))
    other.save(tmp_path / "other")
    assert json.loads((tmp_path / "other" / "run.json").read_text())["trust"]["calibration"] is None
