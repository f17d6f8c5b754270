"""What a sinogram file says about its values: the JSON text in it, as pydantic models.

Every key must be there and no other may be: a key that is left out would have to be guessed, and one that is not
known might change what the others mean.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator

from ctresample.data_tools.plain_text import one_line
from ctresample.errors import SinogramError
from ctresample.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam
from ctresample.sinogram import Sinogram

MAX_SIDE = 32768
"""Pixels along an image side, far above any CT; an absurd grid would only fail later, for lack of memory."""

_Row = tuple[float, float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class GridModel(_Strict):
    """See `ctresample.geometry.ImageGrid`.

    Attributes:
        shape: rows, columns.
        pixel_size_mm: edge of a pixel.
    """

    shape: tuple[Annotated[int, Field(ge=1, le=MAX_SIDE)], Annotated[int, Field(ge=1, le=MAX_SIDE)]]
    pixel_size_mm: PositiveFloat


class ParallelModel(_Strict):
    """See `ctresample.geometry.ParallelBeam`; axes and signs are those of `ctresample.geometry`.

    Attributes:
        type: "parallel2d".
        angles_rad: one a view.
        n_detectors: detector bins.
        detector_pitch_mm: distance between bin centres.
    """

    type: Literal["parallel2d"]
    angles_rad: tuple[float, ...] = Field(min_length=1)
    n_detectors: int = Field(ge=1)
    detector_pitch_mm: PositiveFloat

    def geometry(self) -> Geometry:
        """The scan it describes."""
        return ParallelBeam(self.angles_rad, self.n_detectors, self.detector_pitch_mm)


class FanFlatModel(_Strict):
    """See `ctresample.geometry.FanBeam`; axes and signs are those of `ctresample.geometry`.

    Attributes:
        type: "fanflat2d".
        angles_rad: one a view.
        n_detectors: detector bins.
        detector_pitch_mm: distance between bin centres, at the detector.
        source_to_axis_mm: source to rotation axis.
        source_to_detector_mm: source to detector.
    """

    type: Literal["fanflat2d"]
    angles_rad: tuple[float, ...] = Field(min_length=1)
    n_detectors: int = Field(ge=1)
    detector_pitch_mm: PositiveFloat
    source_to_axis_mm: PositiveFloat
    source_to_detector_mm: PositiveFloat

    def geometry(self) -> Geometry:
        """The scan it describes."""
        return FanBeam(
            self.angles_rad,
            self.n_detectors,
            self.detector_pitch_mm,
            source_to_axis_mm=self.source_to_axis_mm,
            source_to_detector_mm=self.source_to_detector_mm,
        )


class SinogramModel(_Strict):
    """All of a `ctresample.sinogram.Sinogram` but its values and DICOM headers.

    Attributes:
        scan: how it was measured.
        grid: the image grid to reconstruct on.
        affine_lps_mm: ``4 x 4``, maps ``(column, row, slice, 1)`` of the grid to LPS mm.
        quantity: what the values are.
        photons: sent along each ray; null for data without noise.
        electronic_noise: standard deviation of the read-out, in photons.
        mu_water_per_mm: attenuation of water that HU refer to.
        origin: how the values came about, in words.
        software: what wrote the file.
    """

    scan: Annotated[ParallelModel | FanFlatModel, Field(discriminator="type")]
    grid: GridModel
    affine_lps_mm: tuple[_Row, _Row, _Row, _Row]
    quantity: Literal["line_integral"]
    photons: PositiveFloat | None
    electronic_noise: float = Field(ge=0)
    mu_water_per_mm: PositiveFloat
    origin: str
    software: str

    @model_validator(mode="after")
    def _check(self) -> SinogramModel:
        affine = self.affine
        if affine[3].tolist() != [0, 0, 0, 1] or not np.linalg.norm(affine[:3, :3], axis=0).all():
            raise ValueError("affine_lps_mm must end in the row 0, 0, 0, 1 and have no column of zeros")
        return self

    @property
    def affine(self) -> NDArray[np.float64]:
        """Float64 ``(4, 4)``."""
        return np.array(self.affine_lps_mm, np.float64)

    def image_grid(self) -> ImageGrid:
        """The image grid to reconstruct on."""
        return ImageGrid(self.grid.shape, self.grid.pixel_size_mm)

    def geometry(self) -> Geometry:
        """The scan; `GeometryError` if it cannot be."""
        geometry = self.scan.geometry()
        geometry.check_outside(self.image_grid())
        return geometry


def text_of(sinogram: Sinogram, software: str) -> str:
    """Describe a sinogram as JSON; `SinogramError` if it holds what no file may say (zero photons, an odd affine)."""
    geometry = sinogram.geometry
    scan = {
        "type": "fanflat2d" if isinstance(geometry, FanBeam) else "parallel2d",
        "angles_rad": list(map(float, geometry.angles_rad)),
        "n_detectors": int(geometry.n_detectors),
        "detector_pitch_mm": float(geometry.detector_pitch_mm),
    }
    if isinstance(geometry, FanBeam):
        scan["source_to_axis_mm"] = float(geometry.source_to_axis_mm)
        scan["source_to_detector_mm"] = float(geometry.source_to_detector_mm)
    rows, columns = sinogram.grid.shape[-2:]
    parts = {
        "scan": scan,
        "grid": {"shape": (int(rows), int(columns)), "pixel_size_mm": float(sinogram.grid.pixel_size_mm)},
        "affine_lps_mm": np.asarray(sinogram.affine, np.float64).tolist(),
        "quantity": "line_integral",
        "photons": None if sinogram.photons is None else float(sinogram.photons),
        "electronic_noise": float(sinogram.electronic_noise),
        "mu_water_per_mm": float(sinogram.mu_water_per_mm),
        "origin": sinogram.origin,
        "software": software,
    }
    text = json.dumps(parts)
    try:
        SinogramModel.model_validate_json(text)  # as the reader will do it
    except ValidationError as error:
        raise SinogramError(f"the sinogram cannot be stored: {complaint(error)}") from None
    return text


def complaint(error: ValidationError) -> str:
    """The first thing wrong, in one line: where, what was expected, what was found."""
    first = error.errors(include_url=False)[0]
    place = ".".join(one_line(str(part), 40) for part in first["loc"])
    found = first["input"]
    whole = first["type"] in ("json_invalid", "missing") or isinstance(found, (dict, list, tuple))
    shown = "" if whole else f", found {one_line(repr(found), 40)}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place}: {one_line(first['msg'])}{shown}{more}".removeprefix(": ")
