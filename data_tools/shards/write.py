"""Make a set of shards of DICOM folders."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ctresample.data_tools.shards.manifest import Manifest, ShardEntry, Split, SplitEntry
from ctresample.data_tools.shards.shard_file import encode_shard
from ctresample.data_tools.shards.source import (
    Rejections,
    TrainingImage,
    find_sources,
    iter_training_images,
)
from ctresample.data_tools.shards.tissues import TISSUES
from ctresample.errors import DatasetError, UsageError
from ctresample.files import write_file
from ctresample.paths import StrPath, as_path, as_paths

SLICES_PER_SHARD = 256
"""About 50 MB, and 130 MB of memory while it is made."""

_HEADER_SHARE = 0.1  # of the time, roughly: headers are read before any pixels


def write_dataset(
    places: StrPath | Sequence[StrPath],
    out: StrPath,
    *,
    licence: str = "",
    validation_share: float = 0.1,
    slices_per_shard: int = SLICES_PER_SHARD,
    any_class: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> tuple[Manifest, Rejections]:
    """Write every axial CT slice of ``places`` into shards, and ``dataset.json`` beside them.

    A patient is in one split only, chosen by the hash of PatientID: the same one whenever the set is made again with
    more data (but see `split_patients`). Equal images give equal files.

    Args:
        places: folders, searched with all their subfolders; archives; DICOMDIRs; DICOM, NIfTI, NRRD or MetaImage files.
        out: an empty folder that exists; see `ctresample.files.whole_folder` for all or nothing.
        licence: of the images; kept in each shard.
        validation_share: of the patients, 0 to 1.
        slices_per_shard: the most that a file holds.
        any_class: take CT images that are stored as another class.
        progress: told the fraction done and what is being done.

    Returns:
        What was written, and the files left out.

    Raises:
        DicomError: no usable image.
        DatasetError: too few patients for two splits.
        OutputError: a file cannot be written.
        UsageError: a share outside 0 to 1.
    """
    found = as_paths(places, "places")
    out = as_path(out, "out")
    if not 0 <= validation_share <= 1:
        raise UsageError(f"the validation share is {validation_share:g}; expected a share of the patients, from 0 to 1")
    show = progress or (lambda fraction, step: None)
    rejected = Rejections()
    sources = find_sources(
        found,
        rejected,
        lambda n, total: show(_HEADER_SHARE * n / total, f"reading headers of {total} files"),
        any_class=any_class,
    )
    rejected.check_some_left(found, len(sources))
    split_of = split_patients({source.patient for source in sources}, validation_share)
    writers: dict[Split, _SplitWriter] = {
        name: _SplitWriter(out / name, licence, slices_per_shard) for name in sorted(set(split_of.values()))
    }
    tissues = np.zeros(len(TISSUES), np.int64)

    def show_shard(n: int, total: int) -> None:
        n_shards = sum(writer.n_shards for writer in writers.values())
        show(_HEADER_SHARE + (1 - _HEADER_SHARE) * n / total, f"writing shard {max(n_shards, 1)}")

    for image in iter_training_images(sources, rejected, show_shard):
        tissues += image.tissues
        writers[split_of[image.patient]].add(image)
    rejected.check_some_left(found, int(tissues.sum()))
    splits = {name: writer.finish() for name, writer in writers.items()}
    if empty := [name for name, entry in splits.items() if not entry.slices]:
        raise DatasetError(
            f"no slice of the patients chosen for {empty[0]} can be used; change --validation-share or add patients"
        )
    manifest = Manifest(
        schema_version=1,
        software=f"ctresample {version('ctresample')}",
        licence=licence,
        validation_share=validation_share,
        splits=splits,
        hu_share=dict(zip(TISSUES, np.round(tissues / tissues.sum(), 6).tolist(), strict=True)),
        left_out=rejected.counts,
    )
    manifest.write(out)
    return manifest, rejected


def split_patients(patients: set[str], validation_share: float) -> dict[str, Split]:
    """The split of each patient, told by the hash alone: those in its lowest ``validation_share`` are for validation.

    So nobody changes sides when patients are added. Only where this would leave a side empty, the one patient
    nearest to the border does.

    Args:
        patients: SHA-256 hashes in hexadecimal digits.
        validation_share: 0 to 1; at 0 or 1 there is one side only.

    Raises:
        DatasetError: one patient, two sides.
    """
    border = validation_share * 16**64
    split: dict[str, Split] = {name: "val" if int(name, 16) < border else "train" for name in patients}
    if validation_share in (0, 1):
        return dict.fromkeys(patients, "val" if validation_share else "train")
    if len(patients) < 2:
        raise DatasetError(
            "all images are of one patient; expected two or more, for one is kept for validation; add patients, or "
            "make separate sets with --validation-share 0 and 1"
        )
    if "val" not in split.values():
        split[min(patients)] = "val"
    elif "train" not in split.values():
        split[max(patients)] = "train"
    return split


class _SplitWriter:
    """Collects the slices of one split and writes each shard when it is full."""

    def __init__(self, folder: Path, licence: str, slices_per_shard: int) -> None:
        self._folder, self._licence, self._most = folder, licence, slices_per_shard
        self._waiting: list[TrainingImage] = []
        self._shards: list[ShardEntry] = []
        self._patients: set[str] = set()

    @property
    def n_shards(self) -> int:
        """Written or begun."""
        return len(self._shards) + bool(self._waiting)

    def add(self, image: TrainingImage) -> None:
        """Take one slice."""
        self._waiting.append(image)
        self._patients.add(image.patient)
        if len(self._waiting) == self._most:
            self._write()

    def finish(self) -> SplitEntry:
        """Write what is waiting."""
        if self._waiting:
            self._write()
        n_slices = sum(shard.slices for shard in self._shards)
        return SplitEntry(slices=n_slices, patients=len(self._patients), shards=tuple(self._shards))

    def _write(self) -> None:
        content = encode_shard(self._waiting, self._licence)
        path = self._folder / f"{len(self._shards):05d}.h5"
        with suppress(OSError):  # writing the file says why there is no folder
            path.parent.mkdir(exist_ok=True)
        write_file(path, content)
        self._shards.append(
            ShardEntry(
                file=path.name,
                slices=len(self._waiting),
                size_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
            )
        )
        self._waiting = []
