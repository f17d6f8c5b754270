"""Shards: what goes in comes out, patients stay apart, what is not HU stays out, and no damage goes unseen."""

import errno
import hashlib
import json
import os
import re
import zipfile
from fractions import Fraction
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ctresample import files
from ctresample.data_tools.shards.shard_file import encode_shard, read_patients, read_slice
from ctresample.data_tools.shards.source import TrainingImage
from ctresample.data_tools.shards.summary import summary_lines
from ctresample.data_tools.shards.tissues import TISSUES, tissue_counts
from ctresample.data_tools.shards.write import split_patients, write_dataset
from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import DatasetError, DicomError, OutputError, UsageError


def hash_of(patient_id):
    return hashlib.sha256(json.dumps([patient_id]).encode()).hexdigest()


@pytest.fixture(scope="module")
def make_slice(dicom):
    """Write one slice of a patient; ``hu`` of any shape, everything else as wished."""

    def make(folder, patient, z, hu, **elements):
        series = "".join(str(ord(letter)) for letter in patient)
        ds = dicom.ct_dataset(np.asarray(hu) + 1024, (0, 0, 2.5 * z), spacing=(0.8, 0.8), series=series)
        ds.PatientID = patient
        for name, value in elements.items():
            setattr(ds, name, value)
        return dicom.save(ds, folder / f"{patient}-{z}.dcm")

    return make


def body(seed, shape=(512, 512)):
    """Air, fat, water, bone, a metal pixel and undeclared padding."""
    generator = np.random.default_rng(seed)
    hu = np.resize([-1000, -100, 40, 900], shape) + generator.integers(-20, 20, shape)
    hu[0] = -3024
    hu[-1, -1] = 3071
    return hu


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_slice):
    """Three patients of 1, 2 and 3 slices in shards of at most two."""
    folder = tmp_path_factory.mktemp("dataset")
    truth = {}
    for number, patient in enumerate(("Ann-4711", "Bob-4712", "Cyd-4713"), start=1):
        truth[hash_of(patient)] = [body(10 * number + z) for z in range(number)]
        for z, hu in enumerate(truth[hash_of(patient)]):
            make_slice(folder / "dicom" / patient, patient, z, hu)
    (folder / "dicom" / "notes.txt").write_text("no CT")
    out = folder / "shards"
    out.mkdir()
    steps = []
    manifest, rejected = write_dataset(
        [folder / "dicom"],
        out,
        licence="CC BY 4.0, Universität",
        validation_share=0.4,
        slices_per_shard=2,
        progress=lambda fraction, step: steps.append(fraction),
    )
    return SimpleNamespace(
        dicom=folder / "dicom", out=out, truth=truth, manifest=manifest, rejected=rejected, steps=steps
    )


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the shards to damage."""
    for path in made.out.rglob("*.*"):
        target = tmp_path / path.relative_to(made.out)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


# ---------------------------------------------------------------- what goes in comes out


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
def test_any_values_survive_a_shard(tmp_path_factory, tile, n):
    path = tmp_path_factory.mktemp("any") / "00000.h5"
    images = [np.tile(np.roll(tile, k, axis=0), (64, 64)) for k in range(n)]
    counts = np.zeros(len(TISSUES), np.int64)
    path.write_bytes(
        encode_shard([TrainingImage(hu, (1, 1, 1), hash_of(str(k)), counts) for k, hu in enumerate(images)], "")
    )
    assert read_patients(path, n) == [hash_of(str(k)) for k in range(n)]
    for k, hu in enumerate(images):
        np.testing.assert_array_equal(read_slice(path, k), hu)


def test_order_and_digest_follow_the_paths(make_slice, dicom, tmp_path):
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


def test_bad_frames_count_as_one_file(make_slice, dicom, tmp_path):
    make_slice(tmp_path / "in", "Ann", 0, body(0))
    path = tmp_path / "in" / "cut"
    dicom.make_multi_frame(path, finish=lambda ds: setattr(ds, "PixelData", ds.PixelData[:-400]))
    dicom.make_multi_frame(tmp_path / "in" / "mixed", series="2", intercepts=(-1024, -1024, -1000, -1024, -1024))
    with zipfile.ZipFile(tmp_path / "in" / "b.zip", "w") as archive:
        archive.write(path, "image")
    (tmp_path / "in" / "a.zip").write_bytes((tmp_path / "in" / "b.zip").read_bytes()[:-100])
    n_slices, left_out = reasons(tmp_path)
    assert n_slices == 1
    assert left_out["of a series with mixed HU scaling"] == 1
    assert left_out["copies of another image"] == 1  # in the zip file that is whole
    assert sorted(left_out.values()) == [1, 1, 1, 1]
    assert any("is no whole zip file" in reason for reason in left_out)


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


# ---------------------------------------------------------------- patients


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


def test_share_of_many_patients():
    split = split_patients({hash_of(str(n)) for n in range(2000)}, 0.1)
    assert 150 < list(split.values()).count("val") < 250  # 200 +- 4 standard deviations of 13


def test_splits_share_no_patient(made):
    train, val = (TrainingSlices.read(made.out / name) for name in ("train", "val"))
    assert not set(train.patient_hashes) & set(val.patient_hashes)
    train.check_apart(val)
    with pytest.raises(UsageError, match="patients are in both"):
        train.check_apart(TrainingSlices.read(made.dicom))


def test_one_patient_cannot_be_split(make_slice, tmp_path):
    make_slice(tmp_path / "in", "Ann", 0, body(0))
    with pytest.raises(DatasetError, match="one patient"):
        write_dataset([tmp_path / "in"], tmp_path / "out")
    manifest, _ = write_dataset([tmp_path / "in"], tmp_path, validation_share=1)
    assert set(manifest.splits) == {"val"}


# ---------------------------------------------------------------- what is left out


def reasons(folder):
    manifest, rejected = write_dataset([folder / "in"], folder, validation_share=0)
    assert manifest.left_out == rejected.counts
    return manifest.splits["train"].slices, rejected.counts


def test_series_with_mixed_scaling_is_left_out_whole(make_slice, tmp_path):
    for z in range(3):
        make_slice(tmp_path / "in", "Ann", z, body(z))
        make_slice(tmp_path / "in", "Bob", z, body(10 + z), RescaleIntercept="-1024" if z else "0")
        # the same number in other digits
        make_slice(tmp_path / "in", "Cyd", z, body(20 + z), RescaleSlope="1.00" if z else "1")
    assert reasons(tmp_path) == (6, {"of a series with mixed HU scaling": 3})


@pytest.mark.parametrize(
    ("elements", "values"),
    [
        ({"RescaleIntercept": "0"}, [24, 1000, 1064, 2000]),  # stored values taken for HU
        ({"RescaleIntercept": "0"}, [-2000, 1000, 1064, 2000]),  # with padding in them
        ({"RescaleIntercept": "0", "PixelPaddingValue": -50}, [-50, 1000, 1064, 2000]),  # which is declared
        ({"RescaleIntercept": "-1024"}, [-3072, -3072, -1074, -2000]),  # the intercept twice
    ],
)
def test_values_that_are_not_hu_are_left_out(make_slice, dicom, tmp_path, elements, values):
    make_slice(tmp_path / "in", "Ann", 0, body(0))
    ds = dicom.ct_dataset(np.resize(values, (64, 64)), (0, 0, 0), series="66")
    for name, value in elements.items():
        ds.add_new(name, "SS" if name == "PixelPaddingValue" else "DS", value)
    dicom.save(ds, tmp_path / "in" / "bob.dcm")
    n_slices, left_out = reasons(tmp_path)
    assert n_slices == 1
    assert [("not in HU" in reason, n) for reason, n in left_out.items()] == [(True, 1)]


def test_copies_and_strangers_are_left_out(make_slice, dicom, tmp_path):
    path = make_slice(tmp_path / "in", "Ann", 0, body(0))
    (tmp_path / "in" / "again.dcm").write_bytes(path.read_bytes())
    (tmp_path / "in" / "cut.dcm").write_bytes(path.read_bytes()[:-1000])
    (tmp_path / "in" / "text.dcm").write_text("no DICOM")
    make_slice(tmp_path / "in", "Bob", 0, body(1), PatientID="")
    make_slice(tmp_path / "in", "Cyd", 0, body(2), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    make_slice(tmp_path / "in", "Dan", 0, body(3), ImageOrientationPatient=[1, 0, 0, 0, 0, 1])
    n_slices, left_out = reasons(tmp_path)
    assert n_slices == 1
    assert sum(left_out.values()) == 6
    for words in ("copies of another image", "not DICOM", "without PatientID", "localizer", "not axial"):
        assert any(words in reason for reason in left_out)
    assert not any(str(tmp_path) in reason or ".dcm" in reason for reason in left_out)


def test_folder_without_ct(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    for attempt in (lambda: write_dataset([tmp_path], tmp_path), lambda: TrainingSlices.read(tmp_path)):
        with pytest.raises(DicomError, match=r"no axial CT image to train on.* 1 not DICOM \(readme.txt\)"):
            attempt()


def test_folder_without_hu_is_refused_with_the_reason(make_slice, tmp_path):
    for z in range(2):
        make_slice(tmp_path / "in", "Ann", z, body(z).clip(0), RescaleIntercept="0")
    with pytest.raises(DicomError, match="2 not in HU"):
        write_dataset([tmp_path / "in"], tmp_path, validation_share=0)
    warnings = []
    make_slice(tmp_path / "in", "Bob", 0, body(5))
    TrainingSlices.read(tmp_path / "in", on_warning=warnings.append)
    assert len(warnings) == 1
    assert "left out 2 not in HU" in warnings[0]


def test_tissues_are_counted_once_each():
    hu = np.array([[-2000, -1000, -1000, -800], [-100, 0, 60, 149.9], [150, 2999, 3000, 3071]], np.float32)
    counts = tissue_counts(hu, n_padding=1)
    assert dict(zip(TISSUES, counts.tolist(), strict=True)) == {
        "below air": 2,
        "air": 1,
        "lung": 1,
        "fat": 1,
        "soft tissue": 3,
        "bone": 2,
        "metal": 2,
    }


def test_summary_says_what_there_is(made):
    text = "\n".join(summary_lines(made.manifest, made.rejected, made.out))
    assert "6 slices of 3 patients" in text
    assert "1 not DICOM (notes.txt)" in text
    # a quarter of the pixels each; one row of 512 is padding
    assert made.manifest.hu_share["below air"] == pytest.approx(1 / 512, abs=1e-6)
    assert made.manifest.hu_share["fat"] == pytest.approx(0.25 * 511 / 512, abs=1e-5)
    assert "fat          24.95%  ##########" in text
    assert "what lies below air (padding, mostly) is kept as -1000 HU" in text


# ---------------------------------------------------------------- damage


def first_shard(folder):
    return folder / "train" / "00000.h5"


def truncate(folder):
    path = first_shard(folder)
    path.write_bytes(path.read_bytes()[:-1])


def flip(folder, at=0.5):
    path = first_shard(folder)
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)


def swap(folder):
    """One shard in place of another of equal size."""
    path = first_shard(folder)
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "cut short"),
        (flip, "checksum"),
        (swap, "checksum"),
        (lambda folder: first_shard(folder).write_bytes(b""), "cut short"),
        (lambda folder: first_shard(folder).write_bytes(first_shard(folder).read_bytes() + b"x"), "damaged"),
        (lambda folder: first_shard(folder).rename(folder / "train" / "00009.h5"), "No such file"),
    ],
)
def test_damaged_shard_is_named(copy, damage, words):
    damage(copy)
    with pytest.raises(DatasetError) as error:
        TrainingSlices.read(copy / "train")
    assert str(error.value).startswith(str(first_shard(copy)))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@settings(max_examples=30, deadline=None)
@given(at=st.floats(0, 0.999))
def test_damage_never_changes_a_value_in_silence(made, tmp_path_factory, at):
    """Even where the file's checksum was not looked at, or damage came later."""
    folder = tmp_path_factory.mktemp("flipped")
    first_shard(folder).parent.mkdir()
    first_shard(folder).write_bytes(first_shard(made.out).read_bytes())
    flip(folder, at)
    for k in range(made.manifest.splits["train"].shards[0].slices):
        try:
            found = read_slice(first_shard(folder), k)
        except DatasetError:
            continue
        np.testing.assert_array_equal(found, read_slice(first_shard(made.out), k))


def test_damage_to_values_that_gzip_cannot_pack_is_seen(tmp_path):
    hu = np.random.default_rng(0).integers(-32768, 32767, (512, 512), np.int16, endpoint=True)
    image = TrainingImage(hu, (1, 1, 1), hash_of("Ann"), np.zeros(len(TISSUES), np.int64))
    first_shard(tmp_path).parent.mkdir()
    first_shard(tmp_path).write_bytes(encode_shard([image], ""))
    assert first_shard(tmp_path).stat().st_size > hu.nbytes
    np.testing.assert_array_equal(read_slice(first_shard(tmp_path), 0), hu)
    flip(tmp_path)
    with pytest.raises(DatasetError, match="00000.h5 is damaged"):
        read_slice(first_shard(tmp_path), 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_damage_during_training_is_named(copy, workers):
    slices = TrainingSlices.read(copy / "train")
    first_shard(copy).write_bytes(first_shard(copy).read_bytes()[:5000])
    with pytest.raises(DatasetError, match=r"\A\S*00000.h5 is damaged, cut short or gone[^\n]*\Z"):
        for batch in slices.batches((0,), 4, 16, 1.0, workers=workers):
            assert batch.shape == (4, 1, 16, 16)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda text: text[:100], "dataset.json"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 2'), "schema_version"),
        (lambda text: text.replace("00000.h5", "../../passwd"), "file"),
        (lambda text: re.sub(r'("file": "00000.h5",\s*"slices": )\d', r"\g<1>9", text), "expected 9 of 512"),
        (lambda text: text.replace('"train"', '"test"'), "splits"),
    ],
)
def test_damaged_manifest(copy, edit, words):
    path = copy / "dataset.json"
    text = path.read_text()
    assert edit(text) != text
    path.write_text(edit(text))
    with pytest.raises(DatasetError, match=words) as error:
        TrainingSlices.read(copy / "train")
    assert "\n" not in str(error.value)


def test_shards_without_their_manifest(copy):
    (copy / "dataset.json").unlink()
    with pytest.raises(DatasetError, match="copy it along"):
        TrainingSlices.read(copy / "train")


def test_whole_set_in_place_of_a_split(made):
    with pytest.raises(UsageError, match="one split"):
        TrainingSlices.read(made.out)


def test_full_disk_names_the_shard(made, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OutputError, match=r"00000.h5 cannot be written \(No space left on device\)"):
        write_dataset([made.dicom], tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
