"""One CT volume of a place, whatever it is stored as: a DICOM series, or a NIfTI, NRRD or MetaImage file."""

from __future__ import annotations

from pathlib import Path

from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.files import find_files
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom.series import Warn
from ctresample.data_tools.volume_source import check_kind, is_volume_file, read_volume_file
from ctresample.errors import UsageError
from ctresample.paths import StrPath, as_path
from ctresample.volume import Volume

NO_HEADERS = "has no DICOM headers: a derived series gets a patient, a study and headers of its own"


def volume_files(place: Path) -> list[Path]:
    """The volume files of a place: itself, or those below a folder, sorted by path.

    Raises:
        VolumeFileError: the place is a file whose values lie in another.
    """
    check_kind(place)
    if not place.is_dir():
        return [place] if is_volume_file(place) else []
    # a folder that cannot be searched is told of where its series are looked for
    return sorted(path for path in find_files(place, lambda path, error: None) if is_volume_file(path))


def read_ct_volume(
    place: StrPath,
    *,
    series_uid: str | None = None,
    allow_gaps: bool = False,
    resample_tilt: bool = False,
    even_steps_mm: float | None = None,
    one_series: bool = False,
    any_class: bool = False,
    on_warning: Warn | None = None,
) -> Volume:
    """Read the one CT series, or the one volume file, of a place.

    Args:
        place: as for `read_ct_series`; or a NIfTI, NRRD or MetaImage file; or a folder of one and no series.
        series_uid: as for `read_ct_series`, as are the others; none of them concerns volume files.
        allow_gaps: see there.
        resample_tilt: see there.
        even_steps_mm: see there.
        one_series: see there.
        any_class: see there.
        on_warning: called with one line for each thing worth knowing.

    Raises:
        CTResampleError: as `read_ct_series` and `read_volume_file`.
        UsageError: a folder of several volume files and no series.
    """
    place = as_path(place, "place")
    files = volume_files(place)
    if files and series_uid is None and (place.is_file() or not find_series(place, any_class=any_class).series):
        if len(files) > 1:
            raise UsageError(f"{place} holds {len(files)} volume files, such as {files[0].name}; give one of them")
        if on_warning:
            on_warning(f"{files[0]} {NO_HEADERS}")
        return read_volume_file(files[0], on_warning)
    return read_ct_series(
        place,
        series_uid=series_uid,
        allow_gaps=allow_gaps,
        resample_tilt=resample_tilt,
        even_steps_mm=even_steps_mm,
        one_series=one_series,
        any_class=any_class,
        on_warning=on_warning,
    )
