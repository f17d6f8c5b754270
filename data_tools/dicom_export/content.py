"""What the values of a derived series are, for the elements that say so and for viewers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctresample.units import WINDOWS

_NO_DIAGNOSIS = "Research use only, not for diagnosis"


@dataclass(frozen=True)
class Content:
    """One kind of values in HU.

    Attributes:
        comments: ImageComments.
        series_number: added to the source's, so that the kinds stand apart in a viewer's list.
        step_hu: between stored values, where 16 bits reach that far.
        intercept_hu: of the stored value 0, as far as 16 bits reach.
        windows: (level, width) in HU by name; viewers open the first.
    """

    comments: str
    series_number: int
    step_hu: float
    intercept_hu: float
    windows: Mapping[str, tuple[float, float]]


CT_IMAGE = Content(
    comments=_NO_DIAGNOSIS,
    series_number=9000,
    step_hu=1.0,
    intercept_hu=-1024.0,  # stored values of ordinary CT are then 0 or more
    windows={"Soft tissue": WINDOWS["soft tissue"], "Lung": WINDOWS["lung"]},
)
"""A reconstruction."""

RESIDUAL_MAP = Content(
    comments="Map, no CT image: back projection in HU of what the scan measured and the image does not explain. "
    f"{_NO_DIAGNOSIS}",
    series_number=19000,
    step_hu=0.1,
    intercept_hu=0.0,
    windows={"Residual": (0.0, 200.0)},
)
"""Where a reconstruction disagrees with the data."""

ORIGIN_MAP = Content(
    comments="Map, no CT image: the part of the image in HU that the scan does not determine, and that came from "
    f"elsewhere. {_NO_DIAGNOSIS}",
    series_number=69000,
    step_hu=0.1,
    intercept_hu=0.0,
    windows={"Not measured": (0.0, 200.0)},
)
"""What of a reconstruction the data did not decide."""

TV_DIFFERENCE_MAP = Content(
    comments="Map, no CT image: root mean square difference in HU, over a square centimetre, to the reconstruction of "
    f"the same scan by total variation. {_NO_DIAGNOSIS}",
    series_number=79000,
    step_hu=0.1,
    intercept_hu=0.0,
    windows={"Difference to TV": (50.0, 100.0)},
)
"""Where a reconstruction may be worse than total variation."""

LOWER_BOUND, UPPER_BOUND = (
    Content(
        comments=f"{which} end of an interval of HU in every pixel, no CT image. {_NO_DIAGNOSIS}",
        series_number=number,
        step_hu=1.0,
        intercept_hu=-1024.0,
        windows=CT_IMAGE.windows,
    )
    for which, number in (("Lower", 39000), ("Upper", 49000))
)
"""Where the truth lies at a coverage that the settings state, from `ctresample.pipelines.calibration`."""

HALF_WIDTH = Content(
    comments=f"Map, no CT image: half the width in HU of an interval that the truth lies in. {_NO_DIAGNOSIS}",
    series_number=59000,
    step_hu=0.1,
    intercept_hu=0.0,
    windows={"Half-width": (100.0, 200.0)},
)
"""Of the same interval."""

UNCERTAINTY_MAP = Content(
    comments="Map, no CT image: standard deviation in HU between reconstructions that differ in their random numbers. "
    f"{_NO_DIAGNOSIS}",
    series_number=29000,
    step_hu=0.1,
    intercept_hu=0.0,
    windows={"Standard deviation": (50.0, 100.0)},
)
"""How far reconstructions with other random numbers differ."""
