"""What a sinogram file says about its values: the JSON text in it, as pydantic models.

Every key must be there and no other may be: a key that is left out would have to be guessed, and one that is not
known might change what the others mean.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Discriminator, Field, PositiveFloat, Tag, ValidationError, model_validator

from ctresample import choices
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import GeometryError, SinogramError
from ctresample.geometry import ConeBeam, FanBeam, Geometry, Grid, HelicalBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.sinogram import Sinogram

SCHEMA_VERSION = 2

MAX_SIDE = 32768
"""Pixels along an image side, far above any CT; an absurd grid would only fail later, for lack of memory."""

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
_Row = tuple[float, float, float, float]


class Strict(BaseModel):
    """Takes exactly the keys that are declared, of exactly their types."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class ImageGridModel(Strict):
    """See `ctresample.geometry.ImageGrid`, whose attributes it has."""

    shape: tuple[Side, Side]
    pixel_size_mm: PositiveFloat
    aspect: PositiveFloat
    centre_mm: tuple[float, float]

    def grid(self) -> ImageGrid:
        """The grid it describes."""
        return ImageGrid(**dict(self))


class VolumeGridModel(Strict):
    """See `ctresample.geometry.VolumeGrid`, whose attributes it has."""

    shape: tuple[Side, Side, Side]
    pixel_size_mm: PositiveFloat
    slice_step_mm: PositiveFloat
    centre_mm: tuple[float, float, float]

    def grid(self) -> VolumeGrid:
        """The grid it describes."""
        return VolumeGrid(**dict(self))


def _kind_of_grid(found: Any) -> str:
    volume = "slice_step_mm" in found if isinstance(found, dict) else isinstance(found, VolumeGridModel)
    return "volume" if volume else "image"


# told apart by hand: of two models that fail, pydantic would report on both
GridModel = Annotated[
    Annotated[ImageGridModel, Tag("image")] | Annotated[VolumeGridModel, Tag("volume")], Discriminator(_kind_of_grid)
]


_Photons = Annotated[
    Annotated[PositiveFloat | None, Tag("number")] | Annotated[Literal["array"], Tag("text")],
    Discriminator(lambda found: "text" if isinstance(found, str) else "number"),
]


class _BeamModel(Strict):
    """See `ctresample.geometry.Beam`, whose attributes it has; axes and signs are those of that package."""

    angles_rad: tuple[float, ...] = Field(min_length=1)
    n_detectors: int = Field(ge=1)
    detector_pitch_mm: PositiveFloat
    detector_offset_mm: float

    def _attributes(self) -> dict[str, Any]:
        return {name: value for name, value in self if name != "type"}


class ParallelModel(_BeamModel):
    """See `ctresample.geometry.ParallelBeam`."""

    type: Literal["parallel2d"]

    def geometry(self) -> Geometry:
        """The scan it describes."""
        return ParallelBeam(**self._attributes())


class _DivergingModel(_BeamModel):
    source_to_axis_mm: PositiveFloat
    source_to_detector_mm: PositiveFloat
    axis_offset_mm: float


class FanModel(_DivergingModel):
    """See `ctresample.geometry.FanBeam`; the type says the shape of the detector."""

    type: Literal["fanflat2d", "fancurved2d"]

    def geometry(self) -> Geometry:
        """The scan it describes."""
        return FanBeam(**self._attributes(), detector_shape="flat" if self.type == "fanflat2d" else "curved")


class ConeModel(_DivergingModel):
    """See `ctresample.geometry.ConeBeam`, whose attributes it has."""

    type: Literal["cone3d"]
    n_detector_rows: int = Field(ge=1)
    detector_row_pitch_mm: PositiveFloat
    detector_row_offset_mm: float

    def geometry(self) -> Geometry:
        """The scan it describes."""
        return ConeBeam(**self._attributes())


class HelicalModel(_DivergingModel):
    """See `ctresample.geometry.HelicalBeam`, whose attributes it has."""

    type: Literal["helical3d"]
    centre_z_mm: tuple[float, ...] = Field(min_length=1)
    n_detector_rows: int = Field(ge=1)
    detector_row_pitch_mm: PositiveFloat
    detector_row_offset_mm: float
    spot_angle_rad: tuple[float, ...]
    spot_radial_mm: tuple[float, ...]
    spot_z_mm: tuple[float, ...]

    def geometry(self) -> Geometry:
        """The scan it describes."""
        return HelicalBeam(**self._attributes())


class SinogramModel(Strict):
    """All of a `ctresample.sinogram.Sinogram` but its values, DICOM headers and photon counts of single rays.

    Attributes:
        scan: how it was measured.
        grid: the grid to reconstruct on; of a cone beam a volume.
        affine_lps_mm: ``4 x 4``, maps ``(column, row, slice, 1)`` of the grid to LPS mm.
        quantity: what the values are.
        photons: sent along each ray; "array" where a data set says it for each ray; null for data without noise.
        electronic_noise: standard deviation of the read-out, in photons.
        mu_water_per_mm: attenuation of water that HU refer to.
        origin: how the values came about, in words.
        software: what wrote the file.
    """

    scan: Annotated[ParallelModel | FanModel | ConeModel | HelicalModel, Field(discriminator="type")]
    grid: GridModel
    affine_lps_mm: tuple[_Row, _Row, _Row, _Row]
    quantity: Literal["line_integral"]
    photons: _Photons
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

    def image_grid(self) -> Grid:
        """The grid to reconstruct on."""
        return self.grid.grid()

    def geometry(self) -> Geometry:
        """The scan; `GeometryError` if it cannot be."""
        geometry = self.scan.geometry()
        geometry.check_outside(self.image_grid())
        return geometry


@dataclass(frozen=True, eq=False)
class SinogramHead:
    """All of a `ctresample.sinogram.Sinogram` of a volume but its values, which are too many to hold."""

    geometry: Geometry
    grid: Grid
    affine: NDArray[np.float64]
    photons: float | NDArray[np.float32] | None
    mu_water_per_mm: float
    origin: str
    headers: tuple[dict[str, Any], ...] = ()
    electronic_noise: float = 0.0


# ---------------------------------------------------------------- from and to text

_NEW_IN_2: dict[str, dict[str, Any]] = {
    "parallel2d": {"detector_offset_mm": 0.0},
    "fanflat2d": {"detector_offset_mm": 0.0, "axis_offset_mm": 0.0},
    "grid": {"aspect": 1.0, "centre_mm": [0.0, 0.0]},
}
"""What version 1 could not say, and so meant."""


def model_of(text: str, version: int) -> SinogramModel:
    """The JSON text of a file.

    Args:
        text: as `text_of` or another program wrote it.
        version: of the schema it follows, 1 or 2.

    Raises:
        ValidationError: a key is missing, unknown or of another type; or it is no JSON.
        GeometryError: version 1 knows no such beam.
    """
    if version == 1:
        text = _upgraded(text)
    return SinogramModel.model_validate_json(text)


def _upgraded(text: str) -> str:
    try:
        document = json.loads(text)
        scan, grid = document["scan"], document["grid"]
        added = _NEW_IN_2[scan["type"]]
        foreign = sorted((added.keys() & scan.keys()) | (_NEW_IN_2["grid"].keys() & grid.keys()))
        document |= {"scan": scan | added, "grid": grid | _NEW_IN_2["grid"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return text  # something is wrong, which the model says better
    if foreign:
        raise GeometryError(f"{foreign[0]} is no key of schema version 1; write 2 into schema_version")
    return json.dumps(document)


def text_of(sinogram: Sinogram | SinogramHead, software: str) -> str:
    """Describe a sinogram as JSON; `SinogramError` if it holds what no file may say (zero photons, an odd affine)."""
    grid, photons = sinogram.grid, sinogram.photons
    parts = {
        "scan": {"type": _TYPES[sinogram.geometry.name]} | _plain(sinogram.geometry),
        "grid": _plain(grid),
        "affine_lps_mm": np.asarray(sinogram.affine, np.float64).tolist(),
        "quantity": "line_integral",
        "photons": "array" if isinstance(photons, np.ndarray) else None if photons is None else float(photons),
        "electronic_noise": float(sinogram.electronic_noise),
        "mu_water_per_mm": float(sinogram.mu_water_per_mm),
        "origin": sinogram.origin,
        "software": software,
    }
    text = json.dumps(parts)
    try:
        model_of(text, SCHEMA_VERSION)  # as the reader will do it
    except ValidationError as error:
        raise SinogramError(f"the sinogram cannot be stored: {complaint(error)}") from None
    return text


_TYPES: dict[choices.Beam, str] = {
    "parallel": "parallel2d",
    "fan": "fanflat2d",
    "fan-curved": "fancurved2d",
    "cone": "cone3d",
    "helical": "helical3d",
}


def _plain(described: Geometry | Grid) -> dict[str, Any]:
    """The attributes as numbers of Python, which JSON knows: counts as whole numbers, all else with a fraction."""
    found = {}
    for field in fields(described):
        value = getattr(described, field.name)
        number = int if field.name in ("shape", "n_detectors", "n_detector_rows") else float
        if field.name != "detector_shape":  # the type says it
            found[field.name] = list(map(number, value)) if isinstance(value, tuple) else number(value)
    return found


def complaint(error: ValidationError) -> str:
    """The first thing wrong, in one line: where, what was expected, what was found."""
    first = error.errors(include_url=False)[0]
    place = ".".join(one_line(str(part), 40) for part in first["loc"])
    found = first["input"]
    whole = first["type"] in ("json_invalid", "missing") or isinstance(found, (dict, list, tuple))
    shown = "" if whole else f", found {one_line(repr(found), 40)}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place}: {one_line(first['msg'])}{shown}{more}".removeprefix(": ")
