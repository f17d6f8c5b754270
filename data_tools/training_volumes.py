"""Volumes to train on what neighbouring slices tell of each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ctresample.data_tools.ct_volumes import read_ct_volumes
from ctresample.errors import UsageError
from ctresample.paths import StrPath
from ctresample.volume import Volume

EVEN = 0.01
"""Share of a step by which the next may differ."""


@dataclass(frozen=True)
class TrainingVolumes:
    """Volumes of thin slices at even steps.

    Attributes:
        volumes: in HU, of any size.
        digest: identifies the slices, for provenance.
    """

    volumes: tuple[Volume, ...]
    digest: str

    @classmethod
    def read(
        cls, place: StrPath, *, least: int, thickest_mm: float, on_warning: Callable[[str], None] | None = None
    ) -> TrainingVolumes:
        """What lies at even steps of the axial CT volumes of a place, as thin and as long as asked for.

        Args:
            place: as for `ctresample.read_ct_series`.
            least: slices that a volume has to have.
            thickest_mm: from a slice to the next.
            on_warning: called with one line that says what was left out.

        Raises:
            DicomError: no axial volume at all.
            UsageError: none that serves.
        """
        found = read_ct_volumes(place)
        even = tuple(part for volume in found for part in _even_parts(volume, least, thickest_mm))
        wanted = f"{least} slices or more in a row at even steps of {thickest_mm:g} mm or less"
        if not even:
            raise UsageError(f"{place}: none of {len(found)} volumes has {wanted}; add thin series that are whole")
        n, n_used = (sum(len(volume.hu) for volume in volumes) for volumes in (found, even))
        if on_warning and n_used < n:
            on_warning(f"{place}: left out {n - n_used} of {n} slices, which are not among {wanted}")
        content = hashlib.sha256()
        for volume in even:
            content.update(volume.hu.tobytes())
        return cls(even, content.hexdigest()[:16])

    @property
    def summary(self) -> str:
        return f"{len(self.volumes)} volumes of {sum(len(v.hu) for v in self.volumes)} slices"


def _even_parts(volume: Volume, least: int, thickest_mm: float) -> Iterator[Volume]:
    """Slices in a row, each as far from the one before as that from its own."""
    n = len(volume.hu)
    if volume.slice_offsets_mm is None:
        steps = np.full(n - 1, volume.spacing_mm[2])
    else:
        steps = np.diff(volume.slice_offsets_mm)
    first = 0
    for k in range(1, n + 1):
        if k < n and (k - first < 2 or abs(steps[k - 1] - steps[first]) <= EVEN * steps[first]):
            continue
        if k - first >= max(2, least) and steps[first] <= thickest_mm:
            yield volume.part(range(first, k))
        first = k - 1 if k < n else n
