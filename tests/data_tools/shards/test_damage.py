"""No damage to shards goes unseen."""

import errno
import os
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctresample import files
from ctresample.data_tools.shards.shard_file import encode_shard, read_slice
from ctresample.data_tools.shards.source import TrainingImage
from ctresample.data_tools.shards.tissues import TISSUES
from ctresample.data_tools.shards.write import write_dataset
from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import DatasetError, OutputError, UsageError


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


def test_damage_to_values_that_gzip_cannot_pack_is_seen(tmp_path, hash_of):
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
