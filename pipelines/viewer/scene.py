"""What the interactive viewer shows: stacks of slices in HU that lie on one grid, and what belongs over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import GeometryError, UsageError
from ctresample.pipelines.viewer.zoom import Zoom
from ctresample.planes import has_planes

Image = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Layer:
    """One stack of slices.

    Attributes:
        label: to show.
        hu: ``[slice, y, x]`` in HU; NaN where there is none.
        role: the true image, a reconstruction, or a map that is laid over one.
        of: of a map: the label of the reconstruction that it is of.
        worst: of a reconstruction: the region of largest error in each slice; None of a slice without one.
        rmse_hu: of a reconstruction: its error in each slice, NaN where there is none; empty where it is not known.
    """

    label: str
    hu: Image
    role: Literal["truth", "image", "map"]
    of: str = ""
    worst: Sequence[Zoom | None] = ()
    rmse_hu: Sequence[float] = ()


@dataclass(frozen=True, eq=False)
class Scene:
    """All that one viewer shows.

    Attributes:
        layers: of one shape, in the order to show; at least one is a reconstruction.
        slice_names: one each.
        voxel_mm: size along slices, rows and columns, of slices that are neighbours in one volume; None of slices
            that are not, which have no other planes.
        last_is_up: the last slice of a volume lies nearest to the head.
        first: index of the slice to show first.
    """

    layers: Sequence[Layer]
    slice_names: Sequence[str]
    voxel_mm: tuple[float, float, float] | None = None
    last_is_up: bool = True
    first: int = 0
    notes: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        """Refuse layers that cannot be laid over each other."""
        if not any(layer.role == "image" for layer in self.layers):
            raise UsageError("a viewer needs at least one reconstruction, found none")
        shapes = {layer.hu.shape for layer in self.layers}
        if len(shapes) != 1 or len(next(iter(shapes))) != 3 or 0 in next(iter(shapes)):
            raise GeometryError(f"layers have shapes {sorted(shapes)}; expected one (slices, rows, columns), none 0")
        if len(self.slice_names) != self.shape[0]:
            raise UsageError(f"{self.shape[0]} slices have {len(self.slice_names)} names; expected as many")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        slices, rows, columns = self.layers[0].hu.shape
        return slices, rows, columns

    @property
    def has_planes(self) -> bool:
        """Whether there is a coronal and a sagittal plane to look at."""
        return has_planes(self.shape[0], self.voxel_mm)
