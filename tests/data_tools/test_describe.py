"""What ``ctresample info`` tells: enough to know what one has, and nothing about the patient."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
from pydicom.uid import EnhancedCTImageStorage

from ctresample.data_tools.describing import describe
from ctresample.data_tools.describing import models as module
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import DicomError, PriorError, SinogramError, UsageError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.sinogram import Sinogram

GRID = ImageGrid((8, 6), 1.25)
HEADER = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}
CONFIG = {
    "name": "tiny",
    "hu_range": [-1024, 3000],
    "image_size": 256,
    "patch_size": 2,
    "latent_mean": [0, 0, 0, 0],
    "latent_std": [1, 1, 1, 1],
    "denoising_rmse_hu": [[0.99, 12.0], [0.01, 300.5]],
    "provenance": {"licence": "Apache-2.0", "patients": 54, "name": "no fact", "collections": ["a", "b"]},
}


def scan(beam, **more):
    geometry = beam.for_grid(GRID, 4)
    values = np.linspace(-0.5, 6.25, 2 * geometry.shape[0] * geometry.shape[1]).reshape(2, *geometry.shape)
    return Sinogram(values.astype(np.float32), geometry, GRID, np.diag([1.25, 1.25, 2.5, 1]), **more)


def make_prior(folder, config=CONFIG, parts=("vae", "unet")):
    folder.mkdir(parents=True)
    (folder / "prior.json").write_text(json.dumps(config))
    for part in parts:
        (folder / part).mkdir()
        (folder / part / "diffusion_pytorch_model.safetensors").write_bytes(bytes(1_250_000))
    return folder


# ---------------------------------------------------------------- sinograms


def test_fan_beam(tmp_path):
    sinogram = scan(FanBeam, photons=1e5, electronic_noise=5.0, origin="measured\n\x1b[31m", headers=(HEADER,) * 2)
    write_sinogram(sinogram, tmp_path / "a.h5")
    facts = describe(tmp_path / "a.h5")
    written_by = facts.pop("written by")
    n = sinogram.geometry.n_detectors
    assert facts == {
        "kind": "sinogram (HDF5, schema version 2)",
        "slices": "2",
        "slice step": "2.5 mm",
        "views": "4, from 0 to 270 degrees",
        "beam": "fan, flat detector; source to axis 595 mm, to detector 1085.6 mm",
        "detector": f"{n} bins of 2.281 mm",
        "image grid": "8 x 6 pixels of 1.25 mm",
        "photons": "100,000 a ray",
        "electronic noise": "5 photons",
        "line integrals": "-0.5 to 6.25",
        "water": "0.0192 per mm",
        "origin": "measured [31m",
        "DICOM headers": "yes, with patient data",
    }
    assert list(facts)[:2] == ["kind", "slices"]
    assert written_by.startswith("ctresample ")


def test_deidentified_headers(tmp_path):
    """One slice that is not marked is enough to name a patient."""
    marked = {"00120062": {"vr": "CS", "Value": ["YES"]}}
    for name, second in {"all": marked, "some": HEADER, "no": {"00120062": {"vr": "CS", "Value": ["NO"]}}}.items():
        write_sinogram(scan(FanBeam, headers=(marked, second)), tmp_path / name)
    said = [describe(tmp_path / name)["DICOM headers"] for name in ("all", "some", "no")]
    assert said == ["yes, marked as de-identified", "yes, with patient data", "yes, with patient data"]


def test_parallel_beam_without_noise(tmp_path):
    write_sinogram(scan(ParallelBeam), tmp_path / "a.h5")
    facts = describe(tmp_path / "a.h5")
    assert (facts["beam"], facts["views"]) == ("parallel", "4, from 0 to 135 degrees")
    assert (facts["photons"], facts["DICOM headers"]) == ("no noise", "none")
    assert "electronic noise" not in facts


def test_cone_beam_out_of_line(tmp_path):
    grid = VolumeGrid((3, 8, 6), 1.25, 2.5, (0.0, 1.0, -2.0))
    geometry = replace(ConeBeam.for_grid(grid, 4), axis_offset_mm=-0.5, detector_row_offset_mm=1.25)
    values = np.ones(geometry.shape, np.float32)
    photons = np.full((4, geometry.n_detectors), 1e5, np.float32)
    photons[0, 0] = 2e4
    write_sinogram(Sinogram(values, geometry, grid, np.diag([1.25, 1.25, 2.5, 1]), photons), tmp_path / "a.h5")
    facts = describe(tmp_path / "a.h5")
    assert facts["slices"] == "3"
    assert facts["beam"] == "cone, flat panel; source to axis 595 mm, to detector 1085.6 mm"
    rows, columns = geometry.view_shape
    assert facts["detector"] == f"{rows} x {columns} bins of 4.561 x 2.281 mm"
    assert facts["out of line"] == "axis by -0.5 mm, detector rows by 1.25 mm"
    assert facts["image grid"] == "3 x 8 x 6 voxels of 2.5 x 1.25 x 1.25 mm"
    assert facts["image centre"] == "(0, 1, -2) mm from the axis"
    assert facts["photons"] == "20,000 to 100,000 a ray"


def test_curved_fan_on_oblong_pixels(tmp_path):
    grid = ImageGrid((8, 6), 1.25, aspect=2.0)
    geometry = replace(FanBeam.for_grid(grid, 4, detector_shape="curved"), detector_offset_mm=0.25)
    values = np.ones((1, *geometry.shape), np.float32)
    write_sinogram(Sinogram(values, geometry, grid, np.eye(4)), tmp_path / "a.h5")
    facts = describe(tmp_path / "a.h5")
    assert facts["beam"].startswith("fan, curved detector; ")
    assert (facts["out of line"], facts["image grid"]) == ("detector by 0.25 mm", "8 x 6 pixels of 2.5 x 1.25 mm")


def test_file_of_another_program(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(UsageError, match=r"file of another program \(NPY\); `ctresample import` makes"):
        describe(tmp_path / "a.npy")


def test_hdf5_of_another_program(tmp_path):
    h5py.File(tmp_path / "a.h5", "w").close()
    with pytest.raises(SinogramError, match="never guessed"):
        describe(tmp_path / "a.h5")


# ---------------------------------------------------------------- DICOM


def test_series(tmp_path, dicom):
    hu = dicom.make_series(tmp_path)
    (tmp_path / "readme").write_text("hello")
    facts = describe(tmp_path)
    assert facts.pop("left out") == "1 file not DICOM"
    assert facts == {
        "kind": "CT series (DICOM)",
        "slices": "5 axial",
        "matrix": "12 x 16",
        "pixel size": "0.8 x 0.7 mm",
        "slice step": "2.5 mm",
        "HU range": f"{hu.min()} to {hu.max()}",
        "series UID": "1.2.3.1.1",
    }


def test_one_image(tmp_path, dicom):
    hu = dicom.make_series(tmp_path, n=1)
    facts = describe(tmp_path / "000.dcm")
    assert facts["kind"] == "CT image (DICOM)"
    assert (facts["matrix"], facts["HU range"]) == ("12 x 16", f"{hu.min()} to {hu.max()}")


def test_several_series_have_a_line_each(tmp_path, dicom):
    dicom.make_series(tmp_path / "a")
    dicom.make_series(tmp_path / "b", series="2", n=1, orientation=(1, 0, 0, 0, 0, -1))
    dicom.make_series(tmp_path / "c", n=2, edit=lambda ds, z: ds.__setattr__("ImageType", ["A", "B", "LOCALIZER"]))
    dicom.make_series(tmp_path / "d", n=2, edit=lambda ds, z: ds.__delattr__("PixelSpacing"))
    facts = describe(tmp_path)
    assert facts["kind"] == "2 CT series (DICOM)"
    assert re.match(r"1\.2\.3\.1\.1, key [0-9a-f]{12}: 5 axial slices of 12 x 16", facts["series 1"])
    assert re.match(r"1\.2\.3\.2\.1, key [0-9a-f]{12}: 1 coronal slice of", facts["series 2"])
    assert "no usable PixelSpacing" in facts["problem 1"]  # the damaged images are of this series
    assert "problem 2" not in facts
    assert facts["left out"] == "2 files localizer"
    assert facts["damaged"].endswith("(and 1 more)")


def test_a_broken_series_is_described_all_the_same(tmp_path, dicom):
    dicom.make_series(tmp_path)
    (tmp_path / "002.dcm").unlink()
    facts = describe(tmp_path)
    assert (facts["slices"], facts["matrix"]) == ("4 axial", "12 x 16")
    assert "a gap or uneven step" in facts["problem"]
    assert "--allow-gaps" in facts["problem"]
    assert facts["slice step"] == "2.5 mm (median), uneven"
    dicom.make_series(tmp_path / "again", edit=lambda ds, z: ds.__setattr__("RescaleIntercept", "-1000"))
    facts = describe(tmp_path)
    assert "lie at the same position" in facts["problem"]
    assert "HU range" not in facts


def test_nothing_tells_the_patient(tmp_path, dicom):
    def edit(ds, z):
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = "SECRET^NAME", "SECRET-ID", "19111111"
        ds.StudyDescription, ds.AccessionNumber = "SECRET", "SECRET"

    dicom.make_series(tmp_path / "a", edit=edit)
    headers = ({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "SECRET"}]}},) * 2
    write_sinogram(scan(FanBeam, headers=headers), tmp_path / "s.h5")
    for path in (tmp_path / "a", tmp_path / "a" / "000.dcm", tmp_path / "s.h5"):
        told = json.dumps(describe(path))
        assert "SECRET" not in told
        assert "19111111" not in told


def test_no_ct_image_in_the_folder(tmp_path, dicom):
    with pytest.raises(DicomError, match=r"no CT image \(no files\); expected the DICOM files"):
        describe(tmp_path)
    (tmp_path / "readme").write_text("hello")
    with pytest.raises(DicomError, match=r"no CT image \(1 file not DICOM\)"):
        describe(tmp_path)
    dicom.make_series(tmp_path, n=1, edit=lambda ds, z: ds.__setattr__("SOPClassUID", EnhancedCTImageStorage))
    with pytest.raises(DicomError, match="declares 1 frames and describes 0"):
        describe(tmp_path)


# ---------------------------------------------------------------- priors


def test_prior(tmp_path):
    assert describe(make_prior(tmp_path / "p")) == {
        "kind": "latent diffusion prior",
        "name": "tiny",
        "image size": "256 x 256",
        "HU range": "-1024 to 3000",
        "latents": "4 channels, patches of 2 pixels",
        "denoising error": "300.5 HU (most noise) to 12 HU (least)",
        "weights": "2.5 MB",
        "licence": "Apache-2.0",
        "patients": "54",
        "collections": '["a", "b"]',
    }


def test_bundled_prior_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUNDLED_PRIORS", tmp_path / "priors")
    make_prior(tmp_path / "priors" / "ct8", parts=["vae"])
    monkeypatch.chdir(tmp_path)
    name = (tmp_path / "ct8").relative_to(tmp_path)
    assert describe(name)["weights"] == "missing: unet"
    (tmp_path / "ct8").touch()  # what lies there goes first
    with pytest.raises(UsageError, match="ct8 is neither"):
        describe(name)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="no JSON"),
        pytest.param("[]", id="no object"),
        pytest.param("{}", id="empty"),
        pytest.param(json.dumps({**CONFIG, "denoising_rmse_hu": []}), id="no errors"),
        pytest.param(json.dumps({**CONFIG, "image_size": None}), id="no size"),
        pytest.param("[" * 100_000, id="nested"),
    ],
)
def test_a_config_that_cannot_be_used(tmp_path, text):
    (tmp_path / "prior.json").write_text(text)
    with pytest.raises(PriorError, match=r"prior.json cannot be used: .*; expected a full config"):
        describe(tmp_path)


def test_knows_priors_as_the_library_does():
    from ctresample.learned.folders import BUNDLED, CONFIG_NAME

    assert (BUNDLED, CONFIG_NAME) == (module.BUNDLED_PRIORS, module.PRIOR_CONFIG)


# ---------------------------------------------------------------- else


def test_nothing_there(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUNDLED_PRIORS", tmp_path)
    with pytest.raises(UsageError, match=r"x is no file, folder or name of a prior; .* bundled prior \(none\)"):
        describe(tmp_path / "x")


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(UsageError, match=r"a.txt is neither a sinogram file \(HDF5\) nor a CT image \(not DICOM\)"):
        describe(tmp_path / "a.txt")


def test_loads_no_torch(tmp_path, dicom):
    dicom.make_series(tmp_path / "series")
    write_sinogram(scan(FanBeam), tmp_path / "s.h5")
    make_prior(tmp_path / "prior")
    code = f"""
import sys
from pathlib import Path
from ctresample.data_tools.describing import describe
assert not {{"h5py", "pydicom", "pydantic"}} & set(sys.modules)
for name in ("prior", "series", "s.h5"):
    describe(Path({str(tmp_path)!r}) / name)
loaded = {{"torch", "scipy", "SimpleITK", "astra"}} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)
