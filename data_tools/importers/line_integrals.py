"""From what a detector reads to line integrals of attenuation: Beer and Lambert, in one place."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from ctresample.data_tools.importers.readings import Note
from ctresample.errors import SinogramError
from ctresample.noise import COUNT_FLOOR

_MANY_LOW = 0.1
"""Of the rays: so many transmit nothing only where values are no transmission."""

_MOST_DEAD = 0.1
"""Of the bins: with more, something else is wrong than the detector."""

Quantity = Literal["line_integral", "transmission", "counts"]


def to_line_integrals(
    readings: NDArray[np.float32],
    quantity: Quantity,
    *,
    flat: NDArray[np.floating] | float | None = None,
    dark: NDArray[np.floating] | float | None = None,
    photons: float | None = None,
    bad: NDArray[np.bool_] | None = None,
    on_note: Note,
) -> NDArray[np.float32]:
    """``-ln(transmission)``, or ``-ln((counts - dark) / (flat - dark))``.

    A ray that (almost) nothing came through has no logarithm: counts above dark are floored at 1, a transmission at
    one photon. How many rays that was is told.

    Args:
        readings: ``[slice or row, view, detector]``; may be overwritten.
        quantity: what they are.
        flat: counts of the open beam, of any shape that fits ``readings``.
        dark: counts without a beam, likewise; None for 0.
        photons: sent along each ray, where it is known.
        bad: rays that are not known, of the shape of ``readings``; NaN and dead bins are added to them. Without it
            either is refused.
        on_note: told the number of floored rays.

    Raises:
        SinogramError: readings that are not finite, counts without an open beam, bins where it shows nothing, or a
            transmission of 0 or less whose floor is not known.
    """
    if bad is not None:
        bad |= np.isnan(readings)
        readings[bad] = 1.0  # what stands there does not matter, but for its logarithm
    if not np.isfinite(readings).all():
        raise SinogramError("the readings hold NaN or infinite values; mark them: NaN, --mask, bad_bins, bad_views")
    if quantity == "line_integral":
        return readings
    if quantity == "transmission":
        open_beam, dark, floor = np.ones(1), 0.0, 0.0 if photons is None else COUNT_FLOOR / photons
    else:
        if flat is None:
            raise SinogramError("the counts have no open beam to be compared with; add i0, or flat fields")
        dark, floor = 0.0 if dark is None else dark, COUNT_FLOOR
        open_beam = np.asarray(flat - dark, np.float64)
        nothing = ~(open_beam > floor)
        dead = int(np.count_nonzero(nothing))
        if dead and bad is not None and dead <= _MOST_DEAD * open_beam.size:
            bad |= nothing
            open_beam[nothing] = 1.0
            on_note(f"{dead} of {open_beam.size} bins read no open beam: dead, they weigh nothing")
        elif dead:
            raise SinogramError(
                f"the open beam reads at most {floor:g} count above dark in {dead} of {open_beam.size} places; "
                "expected counts; are flat and dark fields mixed up? Mark dead bins in bad_bins; for data that are "
                "divided already, use quantity transmission"
            )
    np.subtract(readings, dark, out=readings, casting="same_kind")
    low = readings < floor if floor else readings <= 0
    if bad is not None:
        starved = _starved_bins(low & ~bad)
        if starved.any():
            on_note(
                f"{np.count_nonzero(starved)} bins read nothing in almost all views, unlike their neighbours: dead, "
                f"weighing nothing (first: {np.argwhere(starved)[0].tolist()}, slice or row and bin)"
            )
            bad |= starved[:, None]
        low &= ~bad
        readings[bad] = max(floor, 1e-3)
    n_low = int(np.count_nonzero(low))
    if n_low and not floor:
        raise SinogramError(
            f"{n_low} of {readings.size} rays transmit 0 or less, which has no logarithm; "
            + ("are they line integrals already (quantity)? Else " if n_low > _MANY_LOW * readings.size else "")
            + "add photons, so that they can be floored at one photon"
        )
    if n_low:
        readings[low] = floor
        what = "photon" if quantity == "transmission" else "count above dark"
        on_note(f"{n_low} of {readings.size} rays transmit less than one {what}: floored there before the logarithm")
    np.divide(readings, open_beam, out=readings, casting="same_kind")
    np.log(readings, out=readings)
    return np.negative(readings, out=readings)


def _starved_bins(low: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Bins ``[slice or row, bin]`` that read nothing in 95 % of the views, between bins that mostly read something."""
    share = low.mean(axis=1)
    return (share >= 0.95) & (median_filter(share, size=(1, 9), mode="nearest") < 0.5)
