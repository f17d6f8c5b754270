"""The views of a DICOM-CT-PD series, in order, whole or refused; and their geometry in the library's axes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.ct_pd import tags
from ctresample.data_tools.ct_pd.view import Scanner, View, read_view
from ctresample.data_tools.dicom.discovery import iter_files
from ctresample.data_tools.dicom.files import DicomFile, SkippedFile, find_files
from ctresample.errors import DicomError
from ctresample.geometry import HelicalBeam
from ctresample.paths import StrPath, as_path

_LOOK_AT = 20
_SAME = 1e-4
"""Relative difference of lengths that float32 and drifting sensors explain."""

_AXES = {"FFS": (-1, 1, 1), "HFS": (1, 1, -1), "FFP": (1, -1, 1), "HFP": (-1, -1, -1)}
"""The scanner's x, y and z as signs of the patient's left, anterior and superior.

Of feet first supine it was checked against the scanner's own images (a GE case of LDCT-and-Projection-data, by the
authors of PyTomography); the others follow by turning the patient in the same right-handed axes.
"""


@dataclass(frozen=True, eq=False)
class ProjectionSeries:
    """A whole series, sorted.

    Attributes:
        views: in the order of InstanceNumber.
        scanner: what they share.
        geometry: the scan, in the library's axes.
        left_out: how many files were something else, by reason.
        assumed_position: whether the place of the patient's axes is not the one that was checked.
    """

    views: tuple[View, ...]
    scanner: Scanner
    geometry: HelicalBeam
    left_out: dict[str, int]
    assumed_position: bool

    def ordered(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """A view ``[row, channel]`` as the geometry counts rows and columns."""
        columns, rows = _directions(self.scanner)
        return values[:: 1 if rows > 0 else -1, :: 1 if columns > 0 else -1]


def is_projection_folder(place: StrPath) -> bool:
    """Whether one of the first files of a folder, or a file itself, is a DICOM-CT-PD view."""
    place = as_path(place, "place")
    for path in [place] if place.is_file() else find_files(place)[:_LOOK_AT] if place.is_dir() else []:
        try:
            read_view(DicomFile(path))
            return True
        except SkippedFile:
            continue
        except DicomError as error:
            if "(7" in str(error) or "InstanceNumber" in str(error):  # one, but with something missing
                return True
    return False


def find_projections(place: StrPath, on_progress: Callable[[int], object] = lambda n: None) -> ProjectionSeries:
    """Read the headers of all views below a folder.

    Args:
        place: the folder, searched with its subfolders, or a zip file.
        on_progress: told the number of files read.

    Raises:
        DicomError: no view, a damaged one, views of several series or scanners, missing or repeated views, no helix.
    """
    place = as_path(place, "place")
    damaged: list[str] = []
    views: list[View] = []
    left_out: Counter[str] = Counter()
    for number, file in enumerate(iter_files(place, lambda archive, error: damaged.append(str(error)))):
        try:
            views.append(read_view(file))
        except SkippedFile as reason:
            left_out[str(reason)] += 1
        if number % 100 == 0:
            on_progress(number)
    if damaged:
        raise DicomError(damaged[0])
    if not views:
        raise DicomError(f"{place} holds no projections (DICOM-CT-PD); expected a file a view")
    views.sort(key=lambda view: view.number)
    scanner = _one_series(place, views)
    return ProjectionSeries(
        tuple(views), scanner, _geometry(place, views, scanner), dict(left_out), scanner.patient_position != "FFS"
    )


def _one_series(place: Path, views: list[View]) -> Scanner:
    """What all views share; `DicomError` unless they are one whole series."""
    series = Counter(view.series_uid for view in views)
    if len(series) > 1:
        shown = ", ".join(f"{n} views of ...{uid[-12:]}" for uid, n in series.most_common(3))
        raise DicomError(f"{place} holds {len(series)} series ({shown}); expected one; put each into its own folder")
    found = Counter(view.number for view in views)
    twice = [number for number, n in found.items() if n > 1]
    if twice:
        raise DicomError(
            f"{place}: view {twice[0]} is there {found[twice[0]]} times (InstanceNumber; {len(twice)} views are); "
            "remove the copies"
        )
    numbers = sorted(found)
    n_missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if n_missing:
        after = next(a for a, b in zip(numbers, numbers[1:], strict=False) if b != a + 1)
        raise DicomError(
            f"{place}: {n_missing} of {numbers[-1] - numbers[0] + 1} views are missing, the first after view {after} "
            "(InstanceNumber); fetch the series again"
        )
    owners = [Counter(view.owner[k] for view in views if view.owner[k]) for k in (0, 1)]
    for k, what in enumerate(("study", "patient")):
        if len(owners[k]) > 1:
            usual = owners[k].most_common(1)[0][0]
            other = next(view for view in views if view.owner[k] not in ("", usual))
            raise DicomError(f"{other.file} is of another {what} than the other views; put each into its own folder")
    first = views[0].scanner
    for view in views:
        for one in fields(Scanner):
            a, b = getattr(first, one.name), getattr(view.scanner, one.name)
            alike = a == b or (isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=_SAME))
            if not alike and one.name != "centre":
                raise DicomError(
                    f"{view.file}: {one.name} is {b}, but {a} in the first view; expected views of one scan"
                )
        if not np.allclose(first.centre, view.scanner.centre, atol=0.01):
            raise DicomError(f"{view.file}: DetectorCentralElement moves from view to view; expected one detector")
    _check_steady(views, first)
    return first


def _check_steady(views: list[View], scanner: Scanner) -> None:
    """`DicomError` where a view does not lie between its neighbours, in angle or height."""
    for tag, unit, values, least in (
        (tags.ANGLE, "rad", np.unwrap([view.angle_rad for view in views]), 0.0),
        (tags.HEIGHT, "mm", np.array([view.height_mm for view in views]), scanner.row_pitch_mm),
    ):
        away = np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
        most = max(least, float(np.median(np.abs(np.diff(values)))) if len(values) > 1 else 0.0)
        if away.size and away.max() > most:
            k = 1 + int(away.argmax())
            raise DicomError(
                f"{views[k].file}: {tags.NAMES[tag]} is {values[k]:.6g} {unit}, between {values[k - 1]:.6g} and "
                f"{values[k + 1]:.6g} of its neighbours; expected even steps; fetch the series again"
            )


def _directions(scanner: Scanner) -> tuple[int, int]:
    """Whether columns, and rows, run as the geometry counts them, or (-1) the other way."""
    x, y, z = _AXES.get(scanner.patient_position, _AXES["FFS"])
    return -x * y, -z


def _geometry(place: Path, views: list[View], scanner: Scanner) -> HelicalBeam:
    """In the library's axes: x to the patient's left, y to the front, z to the head."""
    if scanner.kind != "HELICAL" or len(views) < 2:
        raise DicomError(f"{place} is a scan of kind {scanner.kind}, {len(views)} views; expected HELICAL")
    x, y, z = _AXES.get(scanner.patient_position, _AXES["FFS"])
    phi = np.array([view.angle_rad for view in views])
    # the focal centre is at (-sin(phi), cos(phi)) of the scanner, ours at (sin(theta), -cos(theta))
    theta = np.unwrap(np.arctan2(-x * np.sin(phi), -y * np.cos(phi)))
    spot = np.array([view.spot for view in views], np.float64)
    spot = spot * [x * y, 1, z]
    columns, rows = _directions(scanner)
    # from 1 to from 0; GE counts from 0, from the other end
    central = scanner.centre[0] - 1
    if scanner.maker.upper().startswith("GE"):
        central = scanner.n_columns - scanner.centre[0] - 1
    column_mm = ((scanner.n_columns - 1) / 2 - central) * scanner.column_pitch_mm * columns
    row_mm = ((scanner.n_rows - 1) / 2 - (scanner.centre[1] - 1)) * scanner.row_pitch_mm * rows

    def flown(values: NDArray[np.float64]) -> tuple[float, ...]:
        return tuple(np.round(values, 9).tolist()) if np.abs(values).max() > 1e-9 else ()

    return HelicalBeam(
        tuple(theta.tolist()),
        scanner.n_columns,
        scanner.column_pitch_mm,
        column_mm,
        source_to_axis_mm=scanner.radius_mm,
        source_to_detector_mm=scanner.to_detector_mm,
        centre_z_mm=tuple(float(z * view.height_mm) for view in views),
        n_detector_rows=scanner.n_rows,
        detector_row_pitch_mm=scanner.row_pitch_mm,
        detector_row_offset_mm=row_mm,
        spot_angle_rad=flown(spot[:, 0]),
        spot_radial_mm=flown(spot[:, 1]),
        spot_z_mm=flown(spot[:, 2]),
    )
