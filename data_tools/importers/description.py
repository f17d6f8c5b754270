"""All that must be known about an array of readings before it is a sinogram: the keys of a sidecar file.

What a file of readings says itself comes under the same keys, so there is one place where something can be missing.
``ctresample/docs/sinograms.md`` explains the keys to users.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Discriminator, Field, NonNegativeFloat, PositiveFloat, Tag, ValidationError, model_validator

from ctresample.choices import Cleaning, DetectorShape
from ctresample.data_tools.importers.line_integrals import Quantity
from ctresample.data_tools.importers.readings import FIELDS, Facts
from ctresample.data_tools.plain_text import one_line
from ctresample.data_tools.sinogram.schema import Side, Strict, complaint
from ctresample.errors import SinogramError
from ctresample.geometry import ConeBeam, FanBeam, Geometry, ParallelBeam

_MAX_VIEWS = 1_000_000
_MANY_VIEWS, _RADIANS_OF_A_CIRCLE = 8, 2 * math.pi * 1.02
"""Nobody takes that many views within 6.4 degrees, but for a reason worth telling."""


class EqualAngles(Strict):
    """Equally spaced view angles.

    Attributes:
        start_deg: of the first view.
        stop_deg: where the scan ends; the last view only with ``endpoint``.
        n_views: how many.
        endpoint: whether the last view stands at ``stop_deg``.
    """

    start_deg: float
    stop_deg: float
    n_views: int = Field(ge=1, le=_MAX_VIEWS)
    endpoint: bool

    def degrees(self) -> list[float]:
        """One a view."""
        return list(np.linspace(self.start_deg, self.stop_deg, self.n_views, endpoint=self.endpoint))


_Angles = Annotated[
    Annotated[EqualAngles, Tag("equal")]
    | Annotated[Annotated[list[float], Field(min_length=1, max_length=_MAX_VIEWS)], Tag("list")],
    Discriminator(lambda found: "list" if isinstance(found, list) else "equal"),
]


class _Scan(Strict):
    """What all beams have; ``rotation_axis_bin`` says where the axis falls on the detector, in bins from 0."""

    angles_deg: _Angles
    angle_unit: Literal["deg", "rad"] | None = None
    angle_direction: Literal["counterclockwise", "clockwise"] = "counterclockwise"
    detector_pitch_mm: PositiveFloat
    detector_offset_mm: float = 0.0
    rotation_axis_bin: float | None = None
    n_detectors: int | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        said = {"detector_offset_mm", "axis_offset_mm"} & self.model_fields_set
        if self.rotation_axis_bin is not None and said:
            raise ValueError(f"rotation_axis_bin and {min(said)} say the same; give one of them")
        return self

    def offset_mm(self, n_detectors: int) -> float:
        """Where the middle of the detector is: with the rotation axis on ``rotation_axis_bin``, if that is said."""
        if self.rotation_axis_bin is None:
            return self.detector_offset_mm
        return ((n_detectors - 1) / 2 - self.rotation_axis_bin) * self.detector_pitch_mm

    def angles_rad(self) -> tuple[float, ...]:
        """In the direction that `ctresample.geometry` counts."""
        sign = 1 if self.angle_direction == "counterclockwise" else -1
        if self.angle_unit == "rad":
            return tuple(sign * angle for angle in self.angles())
        return tuple(sign * math.radians(angle) for angle in self.angles())

    def angles(self) -> list[float]:
        """As they are written down, in degrees unless ``angle_unit`` is "rad"."""
        return self.angles_deg.degrees() if isinstance(self.angles_deg, EqualAngles) else self.angles_deg

    def check_unit(self) -> None:
        """`SinogramError` for angles that are taken for degrees by default and look like radians."""
        angles = self.angles()
        arc = max(angles) - min(angles)
        if self.angle_unit is None and len(angles) >= _MANY_VIEWS and 0 < arc <= _RADIANS_OF_A_CIRCLE:
            raise SinogramError(
                f"{len(angles)} views span {arc:.4g} degrees; are the angles radians, {math.degrees(arc):.4g} degrees? "
                "Add geometry.angle_unit, rad or deg"
            )


class ParallelScan(_Scan):
    """A parallel beam; see `ctresample.geometry.ParallelBeam`."""

    type: Literal["parallel"]

    def geometry(self, n_rows: int, n_detectors: int) -> Geometry:
        """The scan of an array with ``n_detectors`` bins."""
        return ParallelBeam(self.angles_rad(), n_detectors, self.detector_pitch_mm, self.offset_mm(n_detectors))


class _DivergingScan(_Scan):
    source_to_axis_mm: PositiveFloat
    source_to_detector_mm: PositiveFloat
    axis_offset_mm: float = 0.0

    def _shared(self, n_detectors: int) -> dict[str, Any]:
        same = ("detector_pitch_mm", "source_to_axis_mm", "source_to_detector_mm", "axis_offset_mm")
        return {name: getattr(self, name) for name in same} | {
            "angles_rad": self.angles_rad(),
            "n_detectors": n_detectors,
            "detector_offset_mm": self.offset_mm(n_detectors),
        }


class FanScan(_DivergingScan):
    """A fan beam; see `ctresample.geometry.FanBeam`."""

    type: Literal["fan"]
    detector_shape: DetectorShape

    def geometry(self, n_rows: int, n_detectors: int) -> Geometry:
        """The scan of an array with ``n_detectors`` bins."""
        return FanBeam(**self._shared(n_detectors), detector_shape=self.detector_shape)


class ConeScan(_DivergingScan):
    """A cone beam on a flat panel; see `ctresample.geometry.ConeBeam`."""

    type: Literal["cone"]
    detector_row_pitch_mm: PositiveFloat
    detector_row_offset_mm: float = 0.0
    n_detector_rows: int | None = None

    def geometry(self, n_rows: int, n_detectors: int) -> Geometry:
        """The scan of an array with ``n_rows`` detector rows and ``n_detectors`` columns."""
        return ConeBeam(
            **self._shared(n_detectors),
            n_detector_rows=n_rows,
            detector_row_pitch_mm=self.detector_row_pitch_mm,
            detector_row_offset_mm=self.detector_row_offset_mm,
        )


class Image(Strict):
    """The grid to reconstruct on; ``slices`` and ``slice_step_mm`` for a cone beam only."""

    rows: Side
    columns: Side
    pixel_size_mm: PositiveFloat
    centre_mm: list[float] | None = Field(default=None, min_length=2, max_length=3)
    slices: Side | None = None
    slice_step_mm: PositiveFloat | None = None


class Description(Strict):
    """The keys of a sidecar file.

    Attributes:
        quantity: what the readings are.
        axes: names of the array's axes in order, such as "slice,view,detector"; a cone beam has "row" for "slice".
        geometry: the scan.
        mu_water_per_mm: attenuation of water that HU refer to.
        photons: sent along each ray; null for none known; "estimate" to take them from the noise.
        electronic_noise: standard deviation of the read-out, in photons.
        i0: reading of the open beam, for counts without flat fields.
        dark: reading without a beam, likewise.
        slice_step_mm: between slices of a stack.
        image: the grid to reconstruct on.
        bad_bins: detector bins, counted from 0, that are dead or flicker: they weigh nothing. "find" looks for them.
        bad_views: views, counted from 0, that are left out.
        clean: what the detector got wrong, to be taken out, of `ctresample.choices.CLEANING`.
        array: name of the readings in an NPZ file, or of a TIFF file in a folder; ``flat_array`` and ``dark_array``
            name the flat and dark fields, ``flat_after_array`` flat fields after the scan: between both, each view has
            its own.
        origin: how the values came about, in words.
    """

    quantity: Quantity
    axes: str
    geometry: Annotated[ParallelScan | FanScan | ConeScan, Field(discriminator="type")]
    mu_water_per_mm: PositiveFloat
    photons: Annotated[
        Annotated[PositiveFloat | None, Tag("number")] | Annotated[Literal["estimate"], Tag("text")],
        Discriminator(lambda found: "text" if isinstance(found, str) else "number"),
    ] = None
    electronic_noise: NonNegativeFloat = 0.0
    i0: PositiveFloat | None = None
    dark: NonNegativeFloat | None = None
    slice_step_mm: PositiveFloat | None = None
    image: Image | None = None
    bad_bins: Annotated[
        Annotated[list[Annotated[int, Field(ge=0)]] | None, Tag("list")] | Annotated[Literal["find"], Tag("text")],
        Discriminator(lambda found: "text" if isinstance(found, str) else "list"),
    ] = None
    bad_views: list[Annotated[int, Field(ge=0)]] | None = None
    clean: list[Cleaning] = []
    array: str | None = None
    flat_array: str | None = None
    dark_array: str | None = None
    flat_after_array: str | None = None
    origin: str | None = None

    @property
    def cleaning(self) -> set[Cleaning]:
        """What is to be taken out, wherever it is said."""
        return {*self.clean, *(("bad-bins",) if self.bad_bins == "find" else ())}

    @property
    def named_bins(self) -> list[int]:
        """Bins that are said to be bad."""
        return [] if self.bad_bins is None or self.bad_bins == "find" else self.bad_bins

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Nothing that is said may be ignored in silence."""
        for key in ("i0", "dark", *FIELDS):
            if self.quantity != "counts" and getattr(self, key) is not None:
                raise ValueError(f"{key} is for counts, but quantity is {self.quantity}; leave one of them out")
        if self.flat_after_array is not None and self.flat_array is None:
            raise ValueError("flat_after_array is of flat fields after the scan; add flat_array, those before it")
        if self.electronic_noise and self.photons is None:
            raise ValueError("electronic_noise says nothing without photons; add photons")
        return self


_ASKED = {
    "quantity": "line_integral, transmission or counts",
    "axes": 'the axes of the array in order, such as "view,detector"',
    "geometry": "the scan",
    "geometry.type": "parallel, fan or cone",
    "geometry.angles_deg": "a list, or start_deg, stop_deg, n_views and endpoint",
    "geometry.detector_shape": "flat or curved",
    "mu_water_per_mm": "the attenuation of water in 1/mm that HU refer to, about 0.0192 at 70 keV; or --mu-water",
}
_TAGS = {"parallel", "fan", "cone", "equal", "list", "number", "text"}


def describe_readings(facts: Facts, where: str, sidecar: str) -> Description:
    """The facts, checked.

    Args:
        facts: of the file and its sidecar together.
        where: the file, for messages.
        sidecar: where to add what is missing, for messages.

    Raises:
        SinogramError: a key is missing, unknown or wrong; the message says which and what to add.
    """
    try:
        return Description.model_validate_json(json.dumps(facts))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(one_line(str(part), 40) for part in first["loc"] if part not in _TAGS)
        if first["type"] == "union_tag_not_found":
            key += ".type"
        elif first["type"] != "missing":
            raise SinogramError(f"{where}: {sidecar} cannot be used: {complaint(error)}; correct it") from None
        hint = f" ({_ASKED[key]})" if key in _ASKED else ""
        raise SinogramError(f"{where}: {key} is not known and is never guessed; add {key}{hint} to {sidecar}") from None
    except (TypeError, ValueError, RecursionError):  # YAML has dates and infinities, which JSON has not
        raise SinogramError(f"{where}: {sidecar} holds what JSON cannot say; use numbers, words and lists") from None
