"""Read CT images: one series as a volume, or every axial slice on its own."""

from __future__ import annotations

import numpy as np

from ctresample.data_tools.dicom.discovery import counts, find_series, only_series
from ctresample.data_tools.dicom.files import DicomFile, SkippedFile
from ctresample.data_tools.dicom.headers import SliceHeader, read_slice_headers
from ctresample.data_tools.dicom.series import Warn, load_series
from ctresample.errors import DicomError
from ctresample.paths import StrPath, as_path
from ctresample.volume import Volume

_AXIAL_COSINE = np.cos(np.pi / 4)  # slices nearer to axial than to anything else; a tilted gantry stays axial


def read_ct_series(
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
    """Read the one CT series of a place; see `find_series` and `load_series`.

    Example:
        >>> from importlib.resources import files
        >>> read_ct_series(str(files("ctresample") / "demo_data" / "slice-01.dcm"))
        Volume(1 slice of 512 x 512 pixels, 0.8789 x 0.8789 x 2.5 mm, with DICOM headers)

    Args:
        place: a folder, searched with all its subfolders; a zip file; a DICOMDIR; or one DICOM file.
        series_uid: where there are several, that of one of them, or the key of a stack.
        allow_gaps: take uneven steps; every slice keeps its true position.
        resample_tilt: shear the slices of a tilted gantry to an upright stack.
        even_steps_mm: interpolate a stack of uneven steps at even ones.
        one_series: take the images of each folder as one series, whatever their UIDs.
        any_class: take CT images that are stored as another class.
        on_warning: called with one line for each thing worth knowing: files left out, padding, odd values.

    Returns:
        HU ``[z, y, x]``, affine and one header a slice.

    Raises:
        SeveralSeriesError: several series, and none is chosen.
        DuplicateError: several images at one position.
        TiltError: a tilted gantry.
        GapError: uneven steps.
        DicomError: no series, a damaged file, no rescale to HU, or a missing decoder.
    """
    place = as_path(place, "place")
    warn = on_warning or _ignore
    discovery = find_series(place, one_series=one_series, any_class=any_class)
    found = only_series(discovery, place, series_uid)
    if discovery.stray and series_uid is None:
        raise DicomError(discovery.stray[0])  # it may be a slice that is missing now
    if others := len(discovery.damaged) - len(found.damaged):
        warn(f"{place}: {others} damaged file(s), of other series as far as can be told")
    if discovery.left_out:
        warn(f"{place}: left out {counts(discovery.left_out)}")
    return load_series(
        found, allow_gaps=allow_gaps, resample_tilt=resample_tilt, even_steps_mm=even_steps_mm, on_warning=warn
    )


def read_axial_headers(file: DicomFile, *, any_class: bool = False) -> list[SliceHeader]:
    """As `read_slice_headers`, without images that are not axial (within 45 degrees); `SkippedFile` if none is.

    Each slice is taken on its own, so that it needs no series, and no place along its normal.
    """
    headers = read_slice_headers(file, any_class=any_class, one_series=True)
    axial = [header for header in headers if abs(header.normal[2]) >= _AXIAL_COSINE]
    if not axial:
        raise SkippedFile("not axial")
    return axial


def _ignore(message: str) -> None:
    """Where nobody listens."""
