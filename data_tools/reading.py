"""How far a CT series may be from an even stack of upright slices, to be read all the same."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from ctresample.offered import READING, Offered


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The options of `ctresample.data_tools.ct_source.read_ct_volume` beside the choice of a series.

    Attributes:
        allow_gaps: take series with uneven steps.
        resample_tilt: take series of a tilted gantry, made upright.
        even_steps_mm: interpolate series with uneven steps at even ones.
        one_series: take the images of each folder as one series, whatever their UIDs.
        any_class: take CT images that are stored as another class.
    """

    allow_gaps: Annotated[
        bool, Offered("Take series whose slices are not evenly spaced, each where it lies.", group=READING)
    ] = False
    resample_tilt: Annotated[
        bool, Offered("Take series of a tilted gantry: slices are shifted upright.", group=READING)
    ] = False
    even_steps_mm: Annotated[
        float | None,
        Offered(
            "Interpolate series whose slices are not evenly spaced, to steps of MM mm.",
            "MM",
            name="even-steps",
            group=READING,
        ),
    ] = None
    one_series: Annotated[
        bool,
        Offered(
            "Take the images of each folder as one series, whatever their UIDs: positions decide what fits together.",
            group=READING,
        ),
    ] = False
    any_class: Annotated[
        bool,
        Offered("Take CT stored as another class, where Modality, HU and place are all there.", group=READING),
    ] = False

    def given(self) -> list[str]:
        """The fields that are not as they are by default."""
        return [one.name for one in fields(self) if getattr(self, one.name) != one.default]


PLAIN = Reading()
