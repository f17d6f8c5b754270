"""Read one split of a set of shards, slice by slice as they are asked for."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.shards.manifest import MANIFEST, Manifest, ShardEntry, Split
from ctresample.data_tools.shards.shard_file import read_patients, read_slice
from ctresample.errors import DatasetError, UsageError
from ctresample.paths import StrPath, as_path


class ShardStack:
    """int16 slices ``[512, 512]`` of several shards under one index; none is kept in memory.

    It holds paths only, so worker processes may have copies of it, by fork or pickled.

    Args:
        shards: path and number of slices of each.
    """

    def __init__(self, shards: Sequence[tuple[Path, int]]) -> None:
        self._paths = [path for path, _ in shards]
        self._ends = list(accumulate(n for _, n in shards))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> NDArray[np.int16]:
        """`DatasetError` if the slice cannot be read."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = bisect_right(self._ends, index)
        return read_slice(self._paths[shard], index - (self._ends[shard - 1] if shard else 0))


def is_split(path: StrPath) -> bool:
    """Whether a folder holds shards; `UsageError` for the folder of a whole set, whose splits must stay apart."""
    path = as_path(path, "path")
    inside = [str(path / name) for name in get_args(Split) if _holds_shards(path / name)]
    if inside:
        raise UsageError(f"{path} is a whole set of shards; expected one split of it; name {' or '.join(inside)}")
    return _holds_shards(path)


def _holds_shards(folder: Path) -> bool:
    return any(folder.glob("[0-9]*.h5"))


def read_split(path: StrPath) -> tuple[ShardStack, list[str], str]:
    """The slices, the patient's hash of each, and a digest of all, of the split in folder ``path``.

    Every file is read once and compared with its checksum, so that damage shows now and not hours into a training.

    Raises:
        DatasetError: a shard is missing, damaged, cut short, or not of this set.
    """
    path = as_path(path, "path")
    manifest = Manifest.read(path.absolute().parent)
    split = next((entry for name, entry in manifest.splits.items() if name == path.absolute().name), None)
    if split is None or not split.shards:
        raise DatasetError(f"{path} is no split of its set; expected one of {', '.join(sorted(manifest.splits))}")
    for shard in split.shards:
        _check_file(path / shard.file, shard)
    names = [name for shard in split.shards for name in read_patients(path / shard.file, shard.slices)]
    digest = hashlib.sha256("".join(shard.sha256 for shard in split.shards).encode()).hexdigest()[:16]
    return ShardStack([(path / shard.file, shard.slices) for shard in split.shards]), names, digest


def _check_file(path: Path, shard: ShardEntry) -> None:
    again = "copy it again or make the shards again with ctresample dataset"
    try:
        found_bytes = path.stat().st_size
        if found_bytes != shard.size_bytes:
            how = "cut short" if found_bytes < shard.size_bytes else "damaged"
            raise DatasetError(f"{path} is {how}: {found_bytes} bytes; expected {shard.size_bytes}; {again}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}), but {MANIFEST} lists it; {again}") from error
    if found != shard.sha256:
        raise DatasetError(f"{path} is damaged: its checksum is not the one in {MANIFEST}; {again}")
