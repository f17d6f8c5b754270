"""One shard: an HDF5 file of training slices, each of which is read alone."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.shards.manifest import SCHEMA_VERSION
from ctresample.data_tools.shards.source import NATIVE_SIZE, TrainingImage
from ctresample.data_tools.sinogram.hdf5_checks import dataset
from ctresample.errors import DatasetError, SinogramError


def encode_shard(images: Sequence[TrainingImage], licence: str) -> memoryview:
    """The bytes of a shard; equal images give equal bytes.

    Made in memory: where HDF5 itself meets a full disk, the process dies of it when it ends.
    """
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["schema_version"] = SCHEMA_VERSION
        file["licence"] = np.bytes_(licence.encode())
        file["patient"] = np.array([image.patient.encode() for image in images], np.bytes_)
        file["spacing_mm"] = np.array([image.spacing_mm for image in images], np.float32)
        file.create_dataset(
            "hu",
            data=np.stack([image.hu for image in images]),
            chunks=(1, NATIVE_SIZE, NATIVE_SIZE),
            compression="gzip",  # each slice with gzip's own checksum
            shuffle=True,
        )
    return content.getbuffer()


def read_patients(path: Path, n_slices: int) -> list[str]:
    """The patient's hash of each slice, after a check that the shard holds ``n_slices`` slices.

    Raises:
        DatasetError: damaged, or not a shard of so many slices.
    """
    with _open(path) as file:
        patients = dataset(file, "/patient", path, ndim=1, kind="text")
        hu = dataset(file, "/hu", path, ndim=3, kind="int16")
        if (
            patients is None
            or hu is None
            or hu.shape != (n_slices, NATIVE_SIZE, NATIVE_SIZE)
            or len(patients) != len(hu)
        ):
            found = "no slices" if hu is None else f"slices of shape {hu.shape}"
            raise DatasetError(
                f"{path} holds {found}; expected {n_slices} of {NATIVE_SIZE} x {NATIVE_SIZE} pixels with their "
                "patients; make the shards again with ctresample dataset"
            )
        return [name.decode() for name in patients[()].tolist()]


def read_slice(path: Path, index: int) -> NDArray[np.int16]:
    """One slice ``[512, 512]`` in HU; `DatasetError` if it is damaged.

    The file is opened anew each time (a quarter of a millisecond), so that processes made by fork share no handle.
    """
    with _open(path) as file:
        hu: NDArray[np.int16] = file["hu"][index]
        return hu


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except DatasetError:
        raise
    except SinogramError as error:  # of the checks that shards share with sinogram files
        raise DatasetError(str(error)) from error
    except Exception as error:  # h5py passes on half a dozen types
        raise DatasetError(
            f"{path} is damaged, cut short or gone ({type(error).__name__} while reading it); copy it again or make "
            "the shards again with ctresample dataset"
        ) from error
