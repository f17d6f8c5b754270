"""A CT volume: HU values, where they lie in the patient, and the headers they came with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctresample.arrays import as_array, as_numbers
from ctresample.display import as_html, hu_picture, middle, slices_in_words
from ctresample.errors import GeometryError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Volume:
    """Axial slices in Hounsfield units with their place in the patient.

    Example:
        >>> Volume(np.zeros((3, 64, 64)), affine=np.diag([0.8, 0.8, 2.5, 1]))
        Volume(3 slices of 64 x 64 pixels, 0.8 x 0.8 x 2.5 mm)

    Attributes:
        hu: float32 array ``[z, y, x]`` (slice, row, column), in HU.
        affine: float64 ``(4, 4)``; maps ``(column, row, slice, 1)`` to DICOM patient coordinates
            (LPS, mm) of the voxel centre.
        headers: one DICOM JSON header a slice (without pixel data), or empty when the volume
            did not come from DICOM. The core never reads them; exporters do.
        slice_offsets_mm: where each slice lies along the affine's slice axis, from 0 upwards, for slices that are not
            evenly spaced; None for even steps. The affine then has their median step.
    """

    hu: NDArray[np.float32]
    affine: NDArray[np.float64]
    headers: tuple[Mapping[str, object], ...] = ()
    slice_offsets_mm: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        settle_place(self)
        object.__setattr__(self, "hu", as_array(self.hu, "volume hu"))
        if self.hu.ndim != 3 or 0 in self.hu.shape:
            raise GeometryError(f"volume hu has shape {self.hu.shape}; expected (slices, rows, columns), none 0")
        if (problem := affine_problem(self.affine)) is not None:
            raise GeometryError(f"volume {problem}")
        if self.headers and len(self.headers) != len(self.hu):
            raise GeometryError(f"volume has {len(self.hu)} slices but {len(self.headers)} headers")
        if (problem := offsets_problem(self.slice_offsets_mm, len(self.hu))) is not None:
            raise GeometryError(f"volume {problem}")

    @property
    def slice_origins_mm(self) -> NDArray[np.float64]:
        """Centre of the first voxel of each slice in LPS mm, ``(slices, 3)``."""
        return slice_origins_mm(self.affine, len(self.hu), self.slice_offsets_mm)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances between voxel centres ``(column step, row step, slice step)`` in mm."""
        x, y, z = (float(np.linalg.norm(self.affine[:3, i])) for i in range(3))
        return x, y, z

    def plot(self, *, slice_number: int | None = None, window: str = "soft tissue") -> Figure:
        """Draw a slice with matplotlib, the axes in mm.

        Args:
            slice_number: from 0; by default the middle one.
            window: "soft tissue", "lung", "bone" or "brain".
        """
        from ctresample.plots import plot_slices  # with matplotlib, which is slow to load

        return plot_slices({"Volume": self.hu}, self.spacing_mm, slice_number=slice_number, window=window)

    def __repr__(self) -> str:
        headers = ", with DICOM headers" if self.headers else ""
        return f"Volume({slices_in_words(self.hu.shape)}, {self._spacing_in_words}{headers})"

    def _repr_html_(self) -> str:
        facts = {"slices": slices_in_words(self.hu.shape), "voxels": self._spacing_in_words}
        return as_html(
            "Volume", hu_picture(middle(self.hu)), facts | {"DICOM headers": "yes" if self.headers else "no"}
        )

    @property
    def _spacing_in_words(self) -> str:
        return " x ".join(f"{mm:.4g}" for mm in self.spacing_mm) + " mm"

    def part(self, numbers: Sequence[int]) -> Volume:
        """Some of its slices, in rising order, where they are."""
        kept = list(numbers)
        affine, offsets_mm = place_of_part(self.affine, self.slice_origins_mm, self.slice_offsets_mm, kept)
        headers = tuple(self.headers[k] for k in kept) if self.headers else ()
        return Volume(self.hu[kept], affine, headers, offsets_mm)

    def with_hu(self, hu: NDArray[np.float32]) -> Volume:
        """The same place and headers with other values of the same shape."""
        hu = as_array(hu, "hu")
        if hu.shape != self.hu.shape:
            raise GeometryError(f"new values have shape {hu.shape}; expected {self.hu.shape}")
        return replace(self, hu=hu)


def settle_place(image: Any) -> None:
    """Give what says where a `Volume` or a sinogram's image lies the types that it declares: any array, any list."""
    object.__setattr__(image, "affine", as_array(image.affine, "affine", np.float64))
    object.__setattr__(image, "headers", tuple(image.headers))
    if image.slice_offsets_mm is not None:
        object.__setattr__(image, "slice_offsets_mm", as_numbers(image.slice_offsets_mm, "slice_offsets_mm"))


def slice_origins_mm(
    affine: NDArray[np.float64], n_slices: int, offsets_mm: tuple[float, ...] | None
) -> NDArray[np.float64]:
    """Centre of the first voxel of each slice in LPS mm, ``(slices, 3)``; the offsets are those of `Volume`."""
    steps = np.arange(n_slices) if offsets_mm is None else np.array(offsets_mm) / np.linalg.norm(affine[:3, 2])
    return affine[:3, 3] + steps[:, None] * affine[:3, 2]


def place_of_part(
    affine: NDArray[np.float64],
    origins_mm: NDArray[np.float64],
    offsets_mm: tuple[float, ...] | None,
    kept: Sequence[int],
) -> tuple[NDArray[np.float64], tuple[float, ...] | None]:
    """Affine and offsets of some slices, in rising order, of a stack with these.

    Their step is the median of their own; a single slice keeps that of the stack.
    """
    affine, origins_mm = affine.copy(), origins_mm[list(kept)]
    affine[:3, 3] = origins_mm[0]
    if len(kept) == 1 or (offsets_mm is None and (np.diff(kept) == 1).all()):
        return affine, None
    offsets = np.linalg.norm(origins_mm - origins_mm[0], axis=1)
    steps = np.diff(offsets)
    step_mm = float(np.median(steps))
    affine[:3, 2] *= step_mm / np.linalg.norm(affine[:3, 2])
    even = np.abs(steps - step_mm).max() <= 1e-6 * step_mm  # but for rounding
    return affine, None if even else tuple(offsets.tolist())


def affine_problem(affine: NDArray[np.float64]) -> str | None:
    """What is wrong with an affine, in words; None if nothing is."""
    if affine.shape == (4, 4) and np.isfinite(affine).all():
        return None
    return "affine must be a finite 4 x 4 matrix (column, row, slice -> LPS mm)"


def offsets_problem(offsets_mm: tuple[float, ...] | None, n_slices: int) -> str | None:
    """What is wrong with the offsets of slices, in words; None if nothing is."""
    if offsets_mm is None:
        return None
    if len(offsets_mm) != n_slices:
        return f"has {n_slices} slices but {len(offsets_mm)} slice offsets"
    if offsets_mm[0] != 0 or not np.isfinite(offsets_mm).all() or not (np.diff(offsets_mm) > 0).all():
        return "slice offsets must begin with 0 and rise"
    return None
