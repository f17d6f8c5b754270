"""CT images of any folders made fit for training, and why others are left out.

Two passes: headers first, for some faults show only in a whole series; then pixels, one image at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from ctresample.data_tools.dicom.discovery import iter_files
from ctresample.data_tools.dicom.files import (
    DicomFile,
    SkippedFile,
    damage_as_dicom_error,
    open_dicom,
    quiet_pydicom,
)
from ctresample.data_tools.dicom.frames import images_of
from ctresample.data_tools.dicom.headers import SliceHeader
from ctresample.data_tools.dicom.pixels import SliceDecoder
from ctresample.data_tools.dicom.read import read_axial_headers
from ctresample.data_tools.dicom.stack import stack_affine
from ctresample.data_tools.plain_text import one_line
from ctresample.data_tools.shards.tissues import tissue_counts
from ctresample.data_tools.volume_source import is_volume_file, last_volume_file, volume_size
from ctresample.errors import DicomError, VolumeFileError
from ctresample.paths import StrPath, as_paths
from ctresample.regrid import to_square_grid
from ctresample.units import AIR_HU
from ctresample.volume import Volume

NATIVE_SIZE = 512
"""Slices are kept on this matrix; training images are made from it at half of it or smaller."""

MAX_HU = np.iinfo(np.int16).max
_FAR_BELOW_AIR_HU = -1500.0  # no tissue and no noise reaches it: padding that the header does not declare
_SURELY_TISSUE_HU = -500.0

Progress = Callable[[int, int], None]
_Scaling = tuple[str, ...]


class Rejections:
    """Files left out, by reason; a multi-frame file, once for each reason that leaves out some of its frames."""

    def __init__(self) -> None:
        self._files: defaultdict[str, dict[DicomFile, None]] = defaultdict(dict)

    def add(self, reason: str, file: DicomFile) -> None:
        """Count a file."""
        self._files[reason][file] = None

    def __len__(self) -> int:
        return len(set().union(*self._files.values()))

    @property
    def counts(self) -> dict[str, int]:
        """Files by reason, most first."""
        ordered = sorted(self._files.items(), key=lambda item: (-len(item[1]), item[0]))
        return {reason: len(files) for reason, files in ordered}

    def lines(self) -> list[str]:
        """One text a reason: how many, why, and the first names."""
        return [f"{n} {reason} ({_first_names(self._files[reason])})" for reason, n in self.counts.items()]

    def check_some_left(self, places: Sequence[Path], n_left: int) -> None:
        """`DicomError` with the reasons if no image is left."""
        if not n_left:
            why = "; ".join(self.lines()) or "no files"
            where = ", ".join(map(str, places))
            raise DicomError(f"{where}: no axial CT image to train on; expected DICOM files of CT in HU; found {why}")


def _first_names(files: Iterable[DicomFile]) -> str:
    names = [one_line(file.short_name, 60) for file in files]
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)


@dataclass(frozen=True, eq=False)
class Source:
    """A CT image whose header is in order.

    Attributes:
        file: where it is.
        image: identity and place of a DICOM image; the number, from 0, of a slice of a volume file.
        patient: SHA-256 of PatientID, in hexadecimal digits; of a volume file, which names none, of its name.
    """

    file: DicomFile
    image: SliceHeader | int
    patient: str


@dataclass(frozen=True, eq=False)
class TrainingImage:
    """One slice to train on.

    Attributes:
        hu: int16 ``[512, 512]``, -1000 to 32767 HU.
        spacing_mm: distances between columns, rows and slices; that of a lone slice as its header has it.
        patient: SHA-256 of PatientID, in hexadecimal digits.
        tissues: pixels of each of `TISSUES` before values outside the range were brought into it.
    """

    hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    patient: str
    tissues: NDArray[np.int64]


def find_sources(
    places: StrPath | Sequence[StrPath],
    rejected: Rejections,
    on_progress: Progress | None = None,
    *,
    any_class: bool = False,
) -> list[Source]:
    """Every axial CT image of the places that can be told to be one from its header, in the order of the paths.

    An image in two places counts once (by SOPInstanceUID, and the number of its frame). A series whose slices are
    rescaled in different ways (RescaleSlope, RescaleIntercept) is left out whole: nobody can tell which of them are HU.

    Args:
        places: folders, searched with all their subfolders; archives; DICOMDIRs; DICOM, NIfTI, NRRD or MetaImage files.
        rejected: gets the other files.
        on_progress: told files read and files in all.
        any_class: take CT images that are stored as another class.
    """
    roots = as_paths(places, "places")

    def damaged(file: DicomFile, error: Exception) -> None:
        rejected.add(_reason(error, file), file)

    files = list(dict.fromkeys(file for place in roots for file in iter_files(place, damaged)))
    volumes = [file for file in files if file.index is None and is_volume_file(file.path)]
    files = [file for file in files if file.index is not None or not is_volume_file(file.path)]
    seen: set[tuple[str, int | None]] = set()
    found: list[Source] = []
    scalings: defaultdict[str, set[_Scaling]] = defaultdict(set)
    for n, file in enumerate(files):
        if on_progress:
            on_progress(n, len(files))
        try:
            headers = read_axial_headers(file, any_class=any_class)
            patient, scaling = _read_identity(file)
        except (SkippedFile, DicomError) as error:
            damaged(file, error)
            continue
        if not patient:
            rejected.add("without PatientID, so that training and validation could share a patient", file)
            continue
        for header in headers:
            image = (header.instance_uid, header.frame)
            if header.instance_uid and image in seen:
                rejected.add("copies of another image", file)
                continue
            seen.add(image)
            scalings[header.series_uid].add(scaling[header.frame])
            found.append(Source(file, header, _hash(patient)))
    mixed = {series for series, ways in scalings.items() if len(ways) > 1}
    left = []
    for source in found:
        if isinstance(source.image, SliceHeader) and source.image.series_uid in mixed:
            rejected.add("of a series with mixed HU scaling", source.file)
        else:
            left.append(source)
    return left + [source for file in volumes for source in _of_volume_file(file, rejected)]


def _of_volume_file(file: DicomFile, rejected: Rejections) -> list[Source]:
    """The slices of a NIfTI, NRRD or MetaImage file, all of one patient."""
    try:
        n_slices = volume_size(file.path)[0]
    except VolumeFileError as error:
        rejected.add(_reason(error, file), file)
        return []
    return [Source(file, k, _hash(file.path.name)) for k in range(n_slices)]


def _hash(patient: str) -> str:
    return hashlib.sha256(json.dumps([patient]).encode()).hexdigest()


@quiet_pydicom()
def _read_identity(file: DicomFile) -> tuple[str, dict[int | None, _Scaling]]:
    """PatientID; and slope and intercept of each image as they are written."""
    with damage_as_dicom_error(file):
        dataset = open_dicom(file, pixels=False)
        patient = str(dataset.get("PatientID") or "").strip()
        return patient, {number: _scaling(image) for number, image in images_of(dataset, file)}


def _scaling(image: Dataset) -> _Scaling:
    values = (image.get("RescaleSlope"), image.get("RescaleIntercept"))
    return tuple("" if value is None else f"{value:g}" for value in values)


def iter_training_images(
    sources: Sequence[Source], rejected: Rejections, on_progress: Progress | None = None
) -> Iterator[TrainingImage]:
    """Decode images one at a time; those that are damaged or plainly not in HU go to ``rejected``.

    Args:
        sources: from :func:`find_sources`.
        rejected: gets the files of the others.
        on_progress: told images read and images in all.
    """
    decoder = SliceDecoder()
    for n, source in enumerate(sources):
        if on_progress:
            on_progress(n, len(sources))
        file = source.file
        try:
            hu, affine, n_padding = _decoded(source, decoder)
        except (DicomError, VolumeFileError) as error:
            rejected.add(_reason(error, file), file)
            continue
        if why := why_not_hu(hu, n_padding):
            rejected.add(why, file)
            continue
        volume = Volume(np.clip(hu, AIR_HU, MAX_HU)[None], affine)
        square = to_square_grid(volume, NATIVE_SIZE)
        yield TrainingImage(
            hu=np.rint(square.hu[0]).astype(np.int16),
            spacing_mm=square.spacing_mm,
            patient=source.patient,
            tissues=tissue_counts(hu, n_padding),
        )


def _decoded(source: Source, decoder: SliceDecoder) -> tuple[NDArray[np.float32], NDArray[np.float64], int]:
    """HU of one image, its affine, and how many pixels are padding."""
    if isinstance(source.image, int):
        volume = last_volume_file(source.file.path)
        return volume.hu[source.image], volume.affine, 0
    decoded = decoder.decode(source.file, source.image.frame)
    return decoded.hu, stack_affine([source.image]), decoded.n_padding


def why_not_hu(hu: NDArray[np.float32], n_padding: int) -> str:
    """Why values cannot be HU of a patient in air; empty if they can.

    Args:
        hu: values of one image, padding set to -1000.
        n_padding: how many are padding.
    """
    if np.count_nonzero((hu < 0) & (hu > _FAR_BELOW_AIR_HU)) <= n_padding:
        return "not in HU: no value between air and water"
    if hu.max() < _SURELY_TISSUE_HU:
        return f"empty or not in HU: no value above {_SURELY_TISSUE_HU:g}"
    return ""


def _reason(error: Exception, file: DicomFile) -> str:
    """Why a file is left out, in words without the file's name."""
    return one_line(str(error).removeprefix(str(file)).split(";")[0].strip(": "), 100)
