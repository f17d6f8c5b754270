"""Shards: what goes in comes out, and patients stay apart."""

import hashlib
import zipfile
from fractions import Fraction

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ctresample.data_tools.shards.shard_file import encode_shard, read_patients, read_slice
from ctresample.data_tools.shards.source import TrainingImage
from ctresample.data_tools.shards.tissues import TISSUES
from ctresample.data_tools.shards.write import split_patients, write_dataset
from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import DatasetError, UsageError


def test_every_slice_comes_back(made):
    found = {}
    for split in ("train", "val"):
        slices = TrainingSlices.read(made.out / split)
        assert len(slices.patients) == len(slices.hu) == made.manifest.splits[split].slices
        for k in range(len(slices.hu)):
            found.setdefault(slices.patient_hashes[slices.patients[k]], []).append(slices.hu[k])
    assert found.keys() == made.truth.keys()
    for patient, images in made.truth.items():
        # padding reads as air; all else is unchanged
        np.testing.assert_array_equal(found[patient], np.maximum(images, -1000))


def test_shards_give_the_images_that_dicom_gives(made, tmp_path):
    out = tmp_path / "shards"
    out.mkdir()
    write_dataset([made.dicom], out, validation_share=0)
    a, b = TrainingSlices.read(made.dicom), TrainingSlices.read(out / "train")
    assert a.patient_hashes == b.patient_hashes
    np.testing.assert_array_equal(a.patients, b.patients)
    np.testing.assert_array_equal(a.batch((1,), 4, 64, 0.5), b.batch((1,), 4, 64, 0.5))
    np.testing.assert_array_equal(a.whole(64), b.whole(64))


def test_shards_are_bounded_and_described(made):
    assert made.manifest == made.manifest.read(made.out)
    for split, entry in made.manifest.splits.items():
        assert [shard.slices for shard in entry.shards] == [2] * (entry.slices // 2) + [1] * (entry.slices % 2)
        for shard in entry.shards:
            with h5py.File(made.out / split / shard.file) as file:
                assert file["hu"].dtype == np.int16
                assert file["hu"].shape == (shard.slices, 512, 512)
                assert file["licence"][()].decode() == "CC BY 4.0, Universität"
                np.testing.assert_allclose(file["spacing_mm"][()], [[0.8, 0.8, 2.5]] * shard.slices)
    assert made.steps == sorted(made.steps)
    assert 0 <= made.steps[0] <= made.steps[-1] <= 1


def test_nothing_of_the_patient_is_kept(made):
    files = [path for path in made.out.rglob("*.*")]
    assert len(files) == 1 + sum(len(entry.shards) for entry in made.manifest.splits.values())
    for path in files:
        content = path.read_bytes()
        for secret in (b"-4711", b"-4712", b"-4713", b"Doe^Jane", b"19600102", b"20200304", b"SCANNER", b"1.2.3."):
            assert secret not in content


def test_equal_images_equal_files(made, tmp_path):
    write_dataset([made.dicom], tmp_path, licence="CC BY 4.0, Universität", validation_share=0.4, slices_per_shard=2)
    for path in made.out.rglob("*.*"):
        assert (tmp_path / path.relative_to(made.out)).read_bytes() == path.read_bytes()


@settings(max_examples=15, deadline=None)
@given(tile=hnp.arrays(np.int16, (8, 8)), n=st.integers(1, 3))
def test_any_values_survive_a_shard(tmp_path_factory, tile, n, hash_of):
    path = tmp_path_factory.mktemp("any") / "00000.h5"
    images = [np.tile(np.roll(tile, k, axis=0), (64, 64)) for k in range(n)]
    counts = np.zeros(len(TISSUES), np.int64)
    path.write_bytes(
        encode_shard([TrainingImage(hu, (1, 1, 1), hash_of(str(k)), counts) for k, hu in enumerate(images)], "")
    )
    assert read_patients(path, n) == [hash_of(str(k)) for k in range(n)]
    for k, hu in enumerate(images):
        np.testing.assert_array_equal(read_slice(path, k), hu)


def test_order_and_digest_follow_the_paths(make_slice, dicom, tmp_path, body):
    """The digest stands in the provenance of priors: what a folder gives must never change."""
    content = hashlib.sha256()
    for z, name in enumerate(("a/2", "a/b/1", "b")):
        hu = body(z)
        make_slice(tmp_path / "in" / name, "Ann", 9 - z, hu)
        content.update(np.maximum(hu, -1000).astype("<i2").tobytes())
    (tmp_path / "in" / "a" / "b" / "notes.txt").write_text("no CT")
    assert TrainingSlices.read(tmp_path / "in").digest == content.hexdigest()[:16]


def test_zip_files_and_frames_give_what_single_files_give(dicom, tmp_path):
    hu = dicom.make_series(tmp_path / "single", n=4)
    (tmp_path / "packed").mkdir()
    with zipfile.ZipFile(tmp_path / "packed" / "export", "w") as archive:
        for path in sorted((tmp_path / "single").iterdir(), reverse=True):  # as good an order as any
            archive.write(path, path.name)
    np.testing.assert_array_equal(dicom.make_multi_frame(tmp_path / "frames" / "image", n=4), hu)
    slices = [TrainingSlices.read(tmp_path / name) for name in ("single", "packed", "frames")]
    assert len({one.digest for one in slices}) == 1
    assert len({one.patient_hashes for one in slices}) == 1
    out = tmp_path / "shards"
    out.mkdir()
    places = [tmp_path / "packed" / "export", tmp_path / "frames" / "image", tmp_path / "single"]
    manifest, rejected = write_dataset(places, out, validation_share=0)
    assert manifest.splits["train"].slices == 8
    assert rejected.lines() == ["4 copies of another image (000.dcm, 001.dcm, 002.dcm, ...)"]


def test_other_matrices_are_put_on_512(make_slice, tmp_path):
    hu = np.full((256, 200), -3024)
    hu[:, 100:] = -60
    make_slice(tmp_path / "in", "Ann", 0, hu, PixelSpacing=[0.5, 0.5])
    found = TrainingSlices.read(tmp_path / "in").hu[0]
    expected = np.full((512, 512), -1000)
    expected[:, 256:456] = -60  # 200 of 256 columns, centred; padding beside tissue leaves no dark rim
    np.testing.assert_array_equal(found, expected)


def test_values_beyond_16_bits(make_slice, tmp_path):
    hu = np.resize([-1000, 40, -500, 30000], (512, 512))
    make_slice(tmp_path, "Ann", 0, (hu + 1024) // 2 - 1024, RescaleSlope="2", RescaleIntercept="-1024")
    make_slice(tmp_path, "Bob", 0, (hu + 1024) // 4 - 1024, RescaleSlope="8", RescaleIntercept="-1024")
    images = TrainingSlices.read(tmp_path).hu
    highest = sorted(int(images[k].max()) for k in range(2))
    assert highest == [30000, 32767]


hashes = st.sets(st.binary(min_size=32, max_size=32).map(bytes.hex), min_size=2, max_size=30)


@given(patients=hashes, share=st.floats(0.001, 0.999), more=hashes)
def test_patients_are_split_by_their_hash_alone(patients, share, more):
    split = split_patients(patients, share)
    assert split.keys() == patients
    assert set(split.values()) == {"train", "val"}
    # also where one had to change sides: the one nearest to the border does
    assert max(name for name in patients if split[name] == "val") < min(
        name for name in patients if split[name] == "train"
    )
    by_share = {name: Fraction(int(name, 16), 2**256) < Fraction(share) for name in patients}
    if len(set(by_share.values())) == 2:
        assert split == {name: "val" if low else "train" for name, low in by_share.items()}
        larger = split_patients(patients | more, share)
        assert all(larger[name] == split[name] for name in patients)


def test_share_of_many_patients(hash_of):
    split = split_patients({hash_of(str(n)) for n in range(2000)}, 0.1)
    assert 150 < list(split.values()).count("val") < 250  # 200 +- 4 standard deviations of 13


def test_splits_share_no_patient(made):
    train, val = (TrainingSlices.read(made.out / name) for name in ("train", "val"))
    assert not set(train.patient_hashes) & set(val.patient_hashes)
    train.check_apart(val)
    with pytest.raises(UsageError, match="patients are in both"):
        train.check_apart(TrainingSlices.read(made.dicom))


def test_one_patient_cannot_be_split(make_slice, tmp_path, body):
    make_slice(tmp_path / "in", "Ann", 0, body(0))
    with pytest.raises(DatasetError, match="one patient"):
        write_dataset([tmp_path / "in"], tmp_path / "out")
    manifest, _ = write_dataset([tmp_path / "in"], tmp_path, validation_share=1)
    assert set(manifest.splits) == {"val"}
