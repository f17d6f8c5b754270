"""Where the centre of a helical scan's detector is, by its conjugate rays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ctresample.errors import SinogramError
from ctresample.geometry import HelicalBeam
from ctresample.pipelines.alignment.alignment import Alignment, lowest
from ctresample.pipelines.alignment.conjugates import disagreement
from ctresample.sinogram import Sinogram

_REACH_BINS, _STEP_BINS = 4.0, 0.5
_CLEARLY = 0.7
"""Of the disagreement as the scan says it: less, the other way round, is a doubt worth telling."""


def turned_round(sinogram: Sinogram) -> tuple[Sinogram, list[str]]:
    """The scan with channels and rows in the order in which its lines agree best, and what was turned round.

    What it says of the detector's offsets turns with them, as they were counted by the order that was taken.
    """
    ways = {"channels": (1, -1), "detector rows": (-1, 1), "channels and detector rows": (-1, -1)}
    found = {
        what: disagreement(sinogram, mirrored=columns < 0, upside_down=rows < 0)
        for what, (rows, columns) in ways.items()
    }
    best = min(found, key=lambda what: found[what])
    if found[best] >= _CLEARLY * disagreement(sinogram):
        return sinogram, []
    rows, columns = ways[best]
    geometry, photons, bad = sinogram.geometry, sinogram.photons, sinogram.bad_rays
    assert isinstance(geometry, HelicalBeam)  # noqa: S101 - for mypy
    return replace(
        sinogram,
        values=sinogram.values[::rows, :, ::columns],
        geometry=replace(
            geometry,
            detector_offset_mm=columns * geometry.detector_offset_mm,
            detector_row_offset_mm=rows * geometry.detector_row_offset_mm,
        ),
        photons=photons[:, ::columns] if isinstance(photons, np.ndarray) else photons,
        bad_rays=None if bad is None else bad[::rows, :, ::columns],
        origin=f"{sinogram.origin}; {best} turned round",
    ), [best]


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
                "changed; align --calibrate turns them round"
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
