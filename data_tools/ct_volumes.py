"""The CT volumes of a place, whatever they are stored as: each series, and each volume file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ctresample.data_tools.ct_source import volume_files
from ctresample.data_tools.dicom.discovery import counts, find_series
from ctresample.data_tools.dicom.series import Warn, load_series
from ctresample.data_tools.volume_source import read_volume_file
from ctresample.errors import CTResampleError, DicomError
from ctresample.paths import StrPath, as_path
from ctresample.volume import Volume

_AXIAL_COSINE = 0.5**0.5


def read_ct_volumes(
    place: StrPath, *, max_slices: int | None = None, any_class: bool = False, on_warning: Warn | None = None
) -> list[Volume]:
    """Every axial CT series of a place, and every NIfTI, NRRD and MetaImage file, each as a volume.

    Steps may be uneven. What is not axial (within 45 degrees) or cannot be read, such as series of a tilted gantry, is
    left out, and ``on_warning`` told why.

    Args:
        place: as for `ctresample.read_ct_series`.
        max_slices: take only so many slices of each, those in its middle.
        any_class: take CT images that are stored as another class.
        on_warning: called with one line for each thing worth knowing.

    Raises:
        DicomError: no axial volume found.
    """
    place = as_path(place, "place")
    warn = on_warning or (lambda line: None)
    volumes, problems = list[Volume](), list[str]()
    for load in _sources(place, any_class, warn, problems):
        try:
            volume = load()
        except CTResampleError as error:
            problems.append(str(error))
            continue
        if abs(volume.affine[2, 2]) < _AXIAL_COSINE * volume.spacing_mm[2]:
            problems.append("a volume is not axial")
            continue
        n = len(volume.hu)
        few = min(max_slices or n, n)
        volumes.append(volume if few == n else volume.part(range((n - few) // 2, (n - few) // 2 + few)))
    if not volumes:
        raise DicomError(f"{place}: no axial CT volume found{''.join(f'; {problem}' for problem in problems[:1])}")
    if problems:
        warn(f"{place}: left out {len(problems)} volume{'s'[: len(problems) > 1]}; the first: {problems[0]}")
    return volumes


def _sources(place: Path, any_class: bool, warn: Warn, problems: list[str]) -> Iterator[Callable[[], Volume]]:
    """What reads each volume, series first."""
    files = volume_files(place)
    if not place.is_file() or not files:
        discovery = find_series(place, any_class=any_class)
        problems += discovery.damaged
        if discovery.left_out:
            warn(f"{place}: left out {counts(discovery.left_out)}")
        for found in discovery.series:
            yield partial(load_series, found, allow_gaps=True, on_warning=warn)
    for file in files:
        yield partial(read_volume_file, file, warn)
