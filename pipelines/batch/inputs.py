"""What a batch finds to work on: CT series and sinogram files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from ctresample.data_tools.ct_source import volume_files
from ctresample.data_tools.dicom.discovery import Discovery, find_series, root_of
from ctresample.data_tools.dicom.even import check_step
from ctresample.data_tools.dicom.files import find_files
from ctresample.data_tools.dicom.series import FoundSeries, check_series
from ctresample.data_tools.sinogram.reading import read_summary
from ctresample.data_tools.volume_source import volume_size
from ctresample.errors import CTResampleError, DicomError
from ctresample.pipelines.batch.fingerprint import contents_of, stamp_of
from ctresample.pipelines.batch.no_places import without_places
from ctresample.pipelines.batch.result_folder import bytes_needed
from ctresample.pipelines.batch.settings import BatchSettings

SINOGRAM_SUFFIXES = (".h5", ".hdf5", ".nxs")


@dataclass(frozen=True, eq=False)
class BatchInput:
    """One series or sinogram file.

    Attributes:
        key: twelve hex digits that name it and its result; they say nothing of the patient. Where results are
            de-identified, they follow from the secret key too: else a list of UIDs would tell whose they are.
        source: what to read.
        place: the folder of its files, in a zip file too, seen from where the search began. Folders may bear names of
            patients.
        words: what it is, without patient data.
        facing: "axial", "coronal", "sagittal", or "sinogram".
        n_slices: of the result.
        n_bytes: about what the result will take on the disk.
        stamp: over sizes and times of its files; another one means that they may have changed since.
        short_hash: of `BatchSettings`, for what goes into the manifest.
        problem: why it cannot be worked on; empty if nothing speaks against it.
    """

    key: str
    source: FoundSeries | Path
    place: str
    words: str
    facing: str
    n_slices: int
    n_bytes: int
    stamp: str
    short_hash: Callable[[str], str]
    problem: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """Over every byte of its files, which are read for it; another one means that the input has changed."""
        return self.short_hash(contents_of(self.source))


@dataclass(frozen=True, eq=False)
class Found:
    """All that lies below a place.

    Attributes:
        inputs: series first, then volume files, then sinogram files, each in the order of their paths.
        left_out: how many files are neither, by reason.
        damaged: one line for each file that should have been a CT image. They name files.
    """

    inputs: tuple[BatchInput, ...]
    left_out: Mapping[str, int]
    damaged: tuple[str, ...]


def find_inputs(place: Path, settings: BatchSettings) -> Found:
    """Look for CT series, volume files and sinogram files.

    Args:
        place: a folder, a zip file, a DICOMDIR or one file.
        settings: of the batch.

    Raises:
        DicomError: there is nothing to work on.
    """
    place = root_of(place).absolute()  # workers may run in another folder
    sinograms = _sinogram_files(place)
    volumes = volume_files(place)
    check_step(settings.even_steps_mm)
    discovery = Discovery((), {}, ())
    if place not in (*sinograms, *volumes):
        discovery = find_series(place, one_series=settings.one_series, any_class=settings.any_class)
    left_out = dict(discovery.left_out)
    left_out["not DICOM"] = left_out.get("not DICOM", 0) - len(sinograms) - len(volumes)
    inputs = [_of_series(found, place, settings) for found in discovery.series]
    inputs += [_of_volume_file(path, place, settings) for path in volumes]
    inputs += [_of_sinogram(path, place, settings) for path in sinograms]
    if not inputs:
        counts = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count > 0)
        raise DicomError(
            f"{place}: no CT series and no sinogram file found ({counts or 'no files'}"
            f"{f', {len(discovery.damaged)} damaged; the first: {discovery.damaged[0]}' if discovery.damaged else ''})"
        )
    return Found(tuple(inputs), {reason: n for reason, n in left_out.items() if n > 0}, discovery.damaged)


def _sinogram_files(place: Path) -> list[Path]:
    # what cannot be looked at is told of with the series
    candidates = [place] if place.is_file() else find_files(place, lambda path, error: None)
    return [path for path in candidates if path.suffix in SINOGRAM_SUFFIXES and h5py.is_hdf5(path)]


def _of_series(found: FoundSeries, place: Path, settings: BatchSettings) -> BatchInput:
    problem = ""
    try:
        gaps = settings.allow_gaps or settings.even_steps_mm is not None
        check_series(found, allow_gaps=gaps, resample_tilt=settings.resample_tilt)
    except CTResampleError as error:
        problem = without_places(str(error), found)
    first = found.headers[0]
    size = settings.scan.size
    return BatchInput(
        key=found.key if settings.deidentification_key is None else settings.short_hash(found.key),
        source=found,
        place=_seen_from(place, Path(str(first.file)).parent),
        words=found.describe(),
        facing=("sagittal", "coronal", "axial")[int(np.abs(first.normal).argmax())],
        n_slices=found.n_slices,
        n_bytes=bytes_needed(found.n_slices, (size, size), settings),
        stamp=settings.short_hash(stamp_of(found)),
        short_hash=settings.short_hash,
        problem=problem,
    )


def _of_volume_file(path: Path, place: Path, settings: BatchSettings) -> BatchInput:
    seen = path.name if place.is_file() else path.relative_to(place).as_posix()
    key = settings.short_hash(seen)
    problem, words, n = "", "volume file", 0
    try:
        n, rows, columns = volume_size(path)
        words = f"volume file of {n} slice{'s'[: n > 1]} of {rows} x {columns}"
    except CTResampleError as error:
        problem = without_places(str(error), path)
    size = settings.scan.size
    return BatchInput(
        key=key,
        source=path,
        place=_seen_from(place, path),
        words=words,
        facing="axial",
        n_slices=n,
        n_bytes=bytes_needed(n, (size, size), settings),
        stamp=settings.short_hash(stamp_of(path)),
        short_hash=settings.short_hash,
        problem=problem,
    )


def _of_sinogram(path: Path, place: Path, settings: BatchSettings) -> BatchInput:
    seen = path.name if place.is_file() else path.relative_to(place).as_posix()
    key = settings.short_hash(seen)
    problem, words, n, shape = "", "sinogram", 0, (0, 0)
    try:
        summary = read_summary(path)
        n, model = summary.n_slices, summary.model
        rows, columns = model.image_grid().shape[-2:]
        shape, n_views = (rows, columns), len(range(0, model.geometry().n_views, settings.every))
        words = f"sinogram of {n} slice{'s'[: n > 1]} of {shape[0]} x {shape[1]}, {n_views} views"
    except CTResampleError as error:
        problem = without_places(str(error), path)
    return BatchInput(
        key=key,
        source=path,
        place=_seen_from(place, path),
        words=words,
        facing="sinogram",
        n_slices=n,
        n_bytes=bytes_needed(n, shape, settings),
        stamp=settings.short_hash(stamp_of(path)),
        short_hash=settings.short_hash,
        problem=problem,
    )


def _seen_from(place: Path, path: Path) -> str:
    return path.relative_to(place).as_posix() if path.is_relative_to(place) else str(path)
