"""NIfTI, NRRD and MetaImage volumes as sources: against SimpleITK, upright, within bounds, and never elsewhere."""

import json

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread

from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.data_tools.ct_source import read_ct_volume
from ctresample.data_tools.describing import describe
from ctresample.data_tools.dicom_export.write import Provenance, write_ct_series
from ctresample.data_tools.shards.source import Rejections, find_sources, iter_training_images
from ctresample.data_tools.volume_files import write_volume_file
from ctresample.data_tools.volume_source import read_volume_file, volume_size
from ctresample.errors import DicomError, UsageError, VolumeFileError
from ctresample.pipelines.batch.inputs import find_inputs
from ctresample.pipelines.batch.settings import BatchSettings
from ctresample.pipelines.results.against import read_source, truth_for
from ctresample.pipelines.scan.scan import Scan
from ctresample.pipelines.scan.simulate import simulate
from ctresample.volume import Volume

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")


def hu_values(n=5):
    return np.random.default_rng(0).integers(-1000, 1500, (n, 12, 16)).astype(np.int16)


def image(hu, orientation="LPS"):
    made = SimpleITK.GetImageFromArray(hu)
    made.SetSpacing((0.75, 0.5, 2.5))
    made.SetOrigin((-10, 20, 30))
    return SimpleITK.DICOMOrient(made, orientation)


def save(path, hu, orientation="LPS"):
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image(hu, orientation), str(path))
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("orientation", ["LPS", "RAS", "SAR"])
def test_values_and_places(tmp_path, suffix, orientation):
    path, hu = tmp_path / f"a{suffix}", hu_values()
    save(path, hu, orientation)
    volume = read_ct_volume(path)
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_allclose(volume.affine, [[0.75, 0, 0, -10], [0, 0.5, 0, 20], [0, 0, 2.5, 30], [0, 0, 0, 1]])
    assert volume_size(path) == (5, 12, 16)
    assert volume.headers == ()


def test_a_derived_series_gets_headers_of_its_own_and_that_is_said(tmp_path, dicom):
    save(tmp_path / "a.mha", hu_values())
    notes = []
    volume = read_ct_volume(tmp_path, on_warning=notes.append)
    assert "a patient, a study and headers of its own" in notes[0]
    paths = write_ct_series(volume, tmp_path / "out", description="test", provenance=Provenance("1", "test"))
    assert [line for path in paths for line in dicom.complaints("dciodvfy", "-new", path)] == []
    assert dcmread(paths[0]).PatientName == "Unknown^Patient"


def test_our_own_results_are_sources(tmp_path):
    affine = np.diag([0.75, 0.5, 2.5, 1.0])
    write_volume_file(Volume(hu_values().astype(np.float32), affine), tmp_path / "a.nii.gz", description="test")
    np.testing.assert_allclose(read_volume_file(tmp_path / "a.nii.gz").affine, affine, atol=1e-6)


def test_doubts_are_told_and_nonsense_is_refused(tmp_path):
    notes = []
    read_volume_file(save(tmp_path / "a.nrrd", np.abs(hu_values())), notes.append)
    assert "no value lies near air" in notes[0]
    with pytest.raises(VolumeFileError, match="none between -1100 and 4000"):
        read_volume_file(save(tmp_path / "b.nrrd", hu_values() + np.int16(20_000)))
    made = image(hu_values().astype(np.float32) * np.float32(np.nan))
    SimpleITK.WriteImage(made, str(tmp_path / "c.nrrd"))
    with pytest.raises(VolumeFileError, match="not finite"):
        read_volume_file(tmp_path / "c.nrrd")


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def huge(path):
    content = bytearray(path.read_bytes())
    content[42:48] = (4000).to_bytes(2, "little") * 3
    path.write_bytes(content)


def large(path):
    content = bytearray(path.read_bytes())
    content[42:48] = (900).to_bytes(2, "little") * 3
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("suffix", "change", "message"),
    [
        *[(suffix, cut, r"truncated|damaged|cannot be read") for suffix in SUFFIXES],
        (".nii", huge, "declares 4000 x 4000 x 4000"),
        (".nii", large, "far more voxels than it can hold"),
        (".nii.gz", lambda path: path.write_bytes(b"junk"), "cannot be read"),
        (".mha", lambda path: path.write_bytes(b"junk"), "in another file|no whole volume"),
    ],
)
def test_damaged_and_hostile_files(tmp_path, capfd, suffix, change, message):
    path = save(tmp_path / f"a{suffix}", hu_values())
    change(path)
    with pytest.raises(VolumeFileError, match=message) as caught:
        read_volume_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_no_name_inside_a_file_is_followed(tmp_path):
    save(tmp_path / "a.mhd", hu_values())
    nrrd = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: /etc/passwd\n\n"
    (tmp_path / "b.nrrd").write_bytes(nrrd)
    mha = (tmp_path / "a.mhd").read_bytes()
    (tmp_path / "c.mha").write_bytes(mha)
    for name in ("a.mhd", "b.nrrd", "c.mha"):
        with pytest.raises(VolumeFileError, match="in another file, and such names are not followed"):
            read_ct_volume(tmp_path / name)


def test_more_dimensions_than_three(tmp_path):
    made = SimpleITK.GetImageFromArray(np.zeros((2, 3, 4, 5), np.int16), isVector=False)
    SimpleITK.WriteImage(made, str(tmp_path / "a.nrrd"))
    with pytest.raises(VolumeFileError, match="5 x 4 x 3 x 2 voxels .*expected three dimensions"):
        read_volume_file(tmp_path / "a.nrrd")


def test_slices_of_it_beside_those_of_dicom(tmp_path, dicom):
    """As `benchmark` takes them."""
    hu = [dicom.make_series(tmp_path / "dicom", n=2), hu_values(3)]
    save(tmp_path / "a.nii.gz", hu[1])
    (tmp_path / "b.nrrd").write_bytes(b"junk")
    notes = []
    slices = read_ct_slices(tmp_path, on_warning=notes.append)
    np.testing.assert_array_equal(np.concatenate([one.hu for one in slices]), np.concatenate(hu))
    assert [one.affine[2, 3] for one in slices] == pytest.approx([30, 32.5, 30, 32.5, 35])
    assert "1 file unreadable" in " ".join(notes)
    assert len(read_ct_slices(tmp_path, max_slices=4)) == 4
    with pytest.raises(DicomError, match="no axial CT image"):
        read_ct_slices(tmp_path / "b.nrrd")


def test_training_images_of_it(tmp_path, dicom):
    """As `dataset` takes them: each file is a patient."""
    for name in ("a.nii.gz", "b.mha"):
        save(tmp_path / name, hu_values())
    (tmp_path / "c.nrrd").write_bytes(b"junk")
    rejected = Rejections()
    sources = find_sources([tmp_path], rejected)
    assert len(sources) == 10
    assert len({source.patient for source in sources}) == 2
    assert len(rejected) == 1
    images = list(iter_training_images(sources, rejected))
    assert len(images) == 10
    assert images[0].spacing_mm[2] == pytest.approx(2.5)


def test_info_lists_it(tmp_path, dicom):
    facts = describe(save(tmp_path / "a.nii.gz", hu_values()))
    assert facts["kind"] == "CT volume (NIfTI)"
    assert (facts["slices"], facts["matrix"], facts["pixel size"]) == ("5", "12 x 16", "0.5 x 0.75 mm")
    dicom.make_series(tmp_path / "dicom")
    (tmp_path / "b.nrrd").write_bytes(b"junk")
    facts = describe(tmp_path)
    assert facts["kind"] == "CT series (DICOM)"
    assert "12 x 16" in facts["volume 1"]
    assert "b.nrrd" in facts["problem of volume 2"]


def test_which_of_several(tmp_path, dicom):
    for name in ("a.nrrd", "b.nrrd"):
        save(tmp_path / name, hu_values())
    with pytest.raises(UsageError, match="holds 2 volume files"):
        read_ct_volume(tmp_path)
    hu = dicom.make_series(tmp_path / "dicom")
    np.testing.assert_array_equal(read_ct_volume(tmp_path).hu, hu)


def test_inputs_of_a_batch(tmp_path):
    save(tmp_path / "a" / "x.mha", hu_values())
    (tmp_path / "a" / "y.nrrd").write_bytes(b"junk")
    settings = BatchSettings(scan=Scan(n_views=4, size=16), method="fbp")
    sound, damaged = find_inputs(tmp_path, settings).inputs
    assert (sound.words, sound.facing, sound.problem) == ("volume file of 5 slices of 12 x 16", "axial", "")
    assert "y.nrrd" not in json.dumps(damaged.problem)
    assert damaged.problem


def test_a_reconstruction_is_compared_with_it(tmp_path):
    path = save(tmp_path / "a.nii.gz", hu_values())
    sinogram = simulate(read_ct_volume(path), n_views=4, size=16)
    assert truth_for(sinogram, read_source(path, sinogram)).shape == (5, 16, 16)
