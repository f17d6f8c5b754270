"""Where the centre of a helical scan's detector is, by its conjugate rays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ctresample.errors import SinogramError
from ctresample.pipelines.alignment.alignment import Alignment, lowest
from ctresample.pipelines.alignment.conjugates import disagreement
from ctresample.sinogram import Sinogram

_REACH_BINS, _STEP_BINS = 4.0, 0.5
_CLEARLY = 0.7
"""Of the disagreement as the scan says it: less, the other way round, is a doubt worth telling."""


def find_centre(sinogram: Sinogram, progress: Callable[[float], None]) -> Alignment:
    """The detector offset with which lines read the same from both their ends.

    Raises:
        SinogramError: too few lines are seen twice; channels or rows that run the other way agree better; or no offset
            stands out.
    """
    geometry = sinogram.geometry
    pitch, before = geometry.detector_pitch_mm, geometry.detector_offset_mm
    offsets = before + pitch * np.arange(-_REACH_BINS, _REACH_BINS + _STEP_BINS / 2, _STEP_BINS)
    values = []
    for number, offset in enumerate(offsets):
        values.append(disagreement(sinogram, float(offset)))
        progress(0.8 * (number + 1) / len(offsets))
    ways = {"channels": {"mirrored": True}, "detector rows": {"upside_down": True}}
    for what, way in ways.items():
        if disagreement(sinogram, **way) < _CLEARLY * min(values):
            raise SinogramError(
                f"lines agree better if the {what} run the other way: was the maker's order another one? Nothing was "
                "changed"
            )
    best = int(np.argmin(values))
    if best in (0, len(offsets) - 1):
        raise SinogramError(f"no centre within {_REACH_BINS:g} bins of the present one makes lines agree")
    centre = lowest(offsets[best - 1 : best + 2], values[best - 1 : best + 2])
    five = centre + 0.2 * pitch * np.array([-2, -1, 0, 1, 2])
    centre = lowest(five, [disagreement(sinogram, float(offset)) for offset in five])
    progress(1)
    misfit = (disagreement(sinogram), disagreement(sinogram, centre))
    return Alignment("detector_offset_mm", before, centre, pitch, None, misfit)
