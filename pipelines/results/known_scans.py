"""Read scans whose truth is known: made of CT images, or measured with the images at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ctresample.data_tools.ct_slices import iter_ct_slices
from ctresample.data_tools.dicom.series import Warn
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.errors import CalibrationError, CTResampleError
from ctresample.pipelines.calibration.known import Known, KnownScans, check_truth
from ctresample.pipelines.results.against import read_source, truth_for
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.scan import Scan
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

UNKNOWN_PATIENT = ""
"""Slices that say nothing of whose they are count as one patient's."""

_PATIENT_ID, _STUDY_UID, _SERIES_UID, _IDENTITY_REMOVED = "00100020", "0020000D", "0020000E", "00120062"
_SINOGRAMS = (".h5", ".hdf5", ".nxs")


def scans_of_images(
    place: Path, scan: Scan, *, per_patient: int, seed: int = 0, on_warning: Warn | None = None
) -> KnownScans:
    """Scans of CT slices, as many of each patient, evenly spaced in the order of their files; slice k has noise k.

    Args:
        place: as `iter_ct_slices` takes it.
        scan: how to scan.
        per_patient: slices of each at most.
        seed: added to the number of each slice.
        on_warning: told of files that are left out.
    """
    numbers: dict[str, list[int]] = {}
    for number, volume in enumerate(iter_ct_slices(place, on_warning=on_warning)):
        numbers.setdefault(_patient(volume.headers), []).append(number)
    chosen: dict[int, int] = {}
    for own in numbers.values():
        places = np.linspace(0, len(own) - 1, min(per_patient, len(own))).round().astype(int)
        for one in dict.fromkeys(places.tolist()):
            chosen[own[one]] = len(chosen)

    def make() -> Iterator[Known]:
        for number, volume in enumerate(iter_ct_slices(place)):
            if number in chosen:
                sinogram = scan.scan(volume, seed=seed + chosen[number])
                yield Known(sinogram, scanned(volume, scan.size).hu, _patient(volume.headers))

    return KnownScans(len(chosen), make, slice_by_slice=True)


def scans_with_truths(place: Path, truths: Path, *, on_warning: Warn | None = None) -> KnownScans:
    """Sinogram files with the images of what was scanned.

    Args:
        place: a sinogram file, or a folder of some.
        truths: where the CT series of all of them are.
        on_warning: told what is worth knowing of a series.

    Raises:
        CalibrationError: no sinogram file is there.
    """
    files = [place] if place.is_file() else sorted(one for one in place.rglob("*") if one.suffix in _SINOGRAMS)
    if not files:
        raise CalibrationError(f"{place} holds no sinogram file ({', '.join(_SINOGRAMS)}); expected some, or CT images")

    def make() -> Iterator[Known]:
        for file in files:
            sinogram = read_sinogram(file)
            try:
                source = read_source(truths, sinogram, on_warning)
                _check_series(sinogram, source)
                known = Known(sinogram, truth_for(sinogram, source), _patient(sinogram.headers))
                check_truth(known)
            except CTResampleError as error:
                raise CalibrationError(f"{file} has no truth in {truths}: {error}") from error
            yield known

    return KnownScans(len(files), make)


def _check_series(sinogram: Sinogram, source: Volume) -> None:
    """`CalibrationError` if the headers say that it is another series, unless they had to be made anonymous."""
    scanned_uid, uid = (_first(one.headers, _SERIES_UID) for one in (sinogram, source))
    if scanned_uid and uid and scanned_uid != uid and _first(sinogram.headers, _IDENTITY_REMOVED) != "YES":
        raise CalibrationError("the only CT series there is another one than was scanned; expected that one")


def _patient(headers: Sequence[Mapping[str, object]]) -> str:
    """PatientID, or else the study, of the first slice."""
    return _first(headers, _PATIENT_ID) or _first(headers, _STUDY_UID) or UNKNOWN_PATIENT


def _first(headers: Sequence[Mapping[str, object]], tag: str) -> str:
    """The value of an element of the first header; "" where there is none."""
    element = headers[0].get(tag) if headers else None
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]) if values and values[0] else ""
