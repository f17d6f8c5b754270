"""NIfTI and NRRD out: judged by SimpleITK and nibabel."""

import gzip
import math
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK

from ctresample.choices import VOLUME_SUFFIXES
from ctresample.data_tools.volume_files import write_volume_file
from ctresample.errors import GeometryError, OutputError, UsageError
from ctresample.volume import Volume

C, S = math.cos(0.26), math.sin(0.26)
OBLIQUE = np.array([[0.7 * C, 0, 2.5 * S, -10.5], [0, 0.8, 0, 20.25], [-0.7 * S, 0, 2.5 * C, 30], [0, 0, 0, 1]])
AFFINES = {"upright": np.diag([0.7, 0.8, 2.5, 1.0]), "oblique": OBLIQUE, "downwards": np.diag([0.7, 0.8, -2.5, 1.0])}
LPS_TO_RAS = np.diag([-1.0, -1, 1, 1])


def scan(affine=OBLIQUE):
    hu = np.random.default_rng(1).uniform(-1000, 2000, (3, 4, 5)).astype(np.float32)
    header = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}
    return Volume(hu, affine, (header,) * 3)


@pytest.mark.parametrize("build", AFFINES)
def test_6_nifti_affine_is_the_lps_point_with_x_and_y_negated(tmp_path, build):
    volume = scan(AFFINES[build])
    path = tmp_path / "volume.nii.gz"
    write_volume_file(volume, path, description="ReSample")
    image, itk = nibabel.load(path), SimpleITK.ReadImage(str(path))
    for i, j, k in np.ndindex(5, 4, 3):
        index = np.array([i, j, k, 1.0])
        point = LPS_TO_RAS @ volume.affine @ index
        for affine in (image.affine, image.get_qform(), image.get_sform()):
            np.testing.assert_allclose(affine @ index, point, atol=1e-4)
        np.testing.assert_allclose(itk.TransformIndexToPhysicalPoint((i, j, k)), (volume.affine @ index)[:3], atol=1e-4)
        assert image.dataobj[i, j, k] == volume.hu[k, j, i]
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.header["descrip"].item() == b"ReSample"
    assert image.get_data_dtype() == np.float32


@pytest.mark.parametrize("build", AFFINES)
def test_nrrd_is_lps(tmp_path, build):
    volume = scan(AFFINES[build])
    path = tmp_path / "volume.nrrd"
    write_volume_file(volume, path, description="ReSample")
    assert b"space: left-posterior-superior" in path.read_bytes()
    image = SimpleITK.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(affine, volume.affine, atol=1e-12)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), volume.hu)


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES.values())
def test_nothing_of_the_patient(tmp_path, suffix):
    path = tmp_path / f"volume{suffix}"
    write_volume_file(scan(), path, description="ReSample")
    raw = path.read_bytes()
    assert b"Doe" not in raw + (gzip.decompress(raw) if suffix == ".nii.gz" else b"")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


SHEARED = OBLIQUE + np.outer([1, 0, 0, 0], [0, 0, 0.1, 0])


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES.values())
@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (scan(SHEARED), "axes are not orthogonal"),
        (scan(np.diag([1.0, 1, 0, 1])), "expected three distances above 0"),
        (replace(scan(), slice_offsets_mm=(0.0, 2.5, 7.5)), "not evenly spaced.*write DICOM"),
        (scan().with_hu(np.full((3, 4, 5), np.nan, np.float32)), "not finite"),
    ],
)
def test_refusals(tmp_path, suffix, volume, message):
    with pytest.raises((GeometryError, OutputError), match=message):
        write_volume_file(volume, tmp_path / f"volume{suffix}", description="d")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES.values())
def test_whole_or_not_at_all(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"volume{suffix}"
    with pytest.raises(OutputError, match="cannot be written"):
        write_volume_file(scan(), tmp_path / "missing" / path.name, description="d")
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_volume_file(scan(), path, description="d")
    assert path.read_text() == "mine"
    path.unlink()
    # a disk that fills up unnoticed: what comes back is not what was written
    monkeypatch.setattr(SimpleITK, "GetArrayFromImage", lambda image: np.zeros((3, 4, 5)))
    with pytest.raises(OutputError, match="came out damaged"):
        write_volume_file(scan(), path, description="d")
    assert list(tmp_path.iterdir()) == []


def test_unknown_format(tmp_path):
    with pytest.raises(UsageError, match=r"expected it to end with .nii.gz or .nrrd"):
        write_volume_file(scan(), tmp_path / "volume.mha", description="d")
