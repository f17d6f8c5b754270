"""A sinogram without what its detector got wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.choices import CLEANING, Cleaning
from ctresample.cleaning.bins import FLICKERS, OFF, odd_bins
from ctresample.cleaning.rings import LEAST_BINS, LEAST_VIEWS, ring_offsets
from ctresample.cleaning.zingers import zingers_in
from ctresample.errors import UsageError
from ctresample.sinogram import Sinogram

_MOST_OUT = 0.2
"""Of the rays: where more would be left out, it is not the detector that is odd."""

_SHOWN = 8


def cleaned(
    sinogram: Sinogram, kinds: Collection[Cleaning], *, on_note: Callable[[str], None] = lambda message: None
) -> Sinogram:
    """The same scan with rings subtracted, and dead or flickering bins and zingers marked as rays that are not known.

    Example:
        >>> from ctresample import ImageGrid, ParallelBeam, Sinogram
        >>> scan = ParallelBeam(np.radians(range(0, 180, 6)), n_detectors=31, detector_pitch_mm=1.0)
        >>> values = np.ones((1, 30, 31))
        >>> values[0, 7, 12] -= 0.5
        >>> found = cleaned(Sinogram(values, scan, ImageGrid((16, 16), 1.0), np.eye(4)), ["zingers"], on_note=print)
        zingers: 1 of 930 rays (0.11%) read far too little and weigh nothing
        >>> np.argwhere(found.bad_rays)
        array([[ 0,  7, 12]])

    Args:
        sinogram: line integrals as measured.
        kinds: of `ctresample.choices.CLEANING`. Bins that are only off by a constant count as bad where rings are not
            among them, and else are corrected.
        on_note: told, in a line for each kind, what was found and what became of it.

    Raises:
        UsageError: an unknown kind.
    """
    unknown = [kind for kind in kinds if kind not in CLEANING]
    if unknown:
        raise UsageError(f"clean is {unknown[0]!r}; expected some of {', '.join(CLEANING)}")
    views, bins = sinogram.values.shape[1:]
    if kinds and (views < LEAST_VIEWS or bins < LEAST_BINS):
        on_note(f"nothing is cleaned: {views} views of {bins} bins are too few to tell the detector from the object")
        return sinogram
    made = sinogram
    if "bad-bins" in kinds:
        made = _without_bad_bins(made, on_note, constant="rings" not in kinds)
    if "rings" in kinds:
        made = _without_rings(made, on_note)
    if "zingers" in kinds:
        made = _without_zingers(made, on_note)
    return made


def _without_rings(sinogram: Sinogram, on_note: Callable[[str], None]) -> Sinogram:
    offsets = np.concatenate([ring_offsets(row[None]) for row in sinogram.values])  # a row at a time, for memory
    largest = np.abs(offsets).max(axis=0)
    worst = [int(k) for k in np.argsort(-largest, kind="stable")[:_SHOWN] if largest[k] > 0]
    named = f", most of bins {', '.join(f'{k} ({largest[k]:.2g})' for k in worst)}" if worst else ""
    on_note(
        f"rings: constant offsets of {np.count_nonzero(largest)} of {len(largest)} bins were subtracted, "
        f"{np.sqrt(np.mean(offsets**2)):.2g} root mean square{named}"
    )
    values = (sinogram.values - offsets[:, None]).astype(np.float32)
    return replace(sinogram, values=values, origin=f"{sinogram.origin}; rings subtracted")


def _without_bad_bins(sinogram: Sinogram, on_note: Callable[[str], None], *, constant: bool) -> Sinogram:
    off, flickers = map(np.concatenate, zip(*(odd_bins(row[None]) for row in sinogram.values), strict=True))
    out = off | flickers if constant else flickers
    if sinogram.bad_rays is not None:
        out &= ~sinogram.bad_rays.all(axis=1)
    named = ", ".join(
        f"{k} ({FLICKERS if flickers[:, k].any() else OFF})" for k in np.flatnonzero(out.any(axis=0))[:_SHOWN]
    )
    what = f"{np.count_nonzero(out)} of {out.size} bins" + (f" weigh nothing: {named}" if named else " are odd")
    more = int(np.count_nonzero(out.any(axis=0))) - _SHOWN
    return _without(sinogram, out[:, None], "bad bins", f"{what}{f' and {more} more' if more > 0 else ''}", on_note)


def _without_zingers(sinogram: Sinogram, on_note: Callable[[str], None]) -> Sinogram:
    out = np.concatenate(
        [
            zingers_in(row[None], np.where(sigma < BAD_RAY_SIGMA, sigma, 0)[None])
            for row, sigma in zip(sinogram.values, sinogram.sigma(), strict=True)
        ]
    )
    if sinogram.bad_rays is not None:
        out &= ~sinogram.bad_rays
    n = int(np.count_nonzero(out))
    what = f"{n} of {out.size} rays ({n / out.size:.2%}) read far too little and weigh nothing"
    return _without(sinogram, out, "zingers", what, on_note)


def _without(
    sinogram: Sinogram, out: NDArray[np.bool_], name: str, what: str, on_note: Callable[[str], None]
) -> Sinogram:
    if out.mean() > _MOST_OUT:
        on_note(f"{name}: nothing is left out, for {out.mean():.0%} of them look wrong: the scan, not the detector, is")
        return sinogram
    on_note(f"{name}: {what}")
    if not out.any():
        return sinogram
    known = np.zeros(sinogram.values.shape, bool) if sinogram.bad_rays is None else sinogram.bad_rays
    return replace(sinogram, bad_rays=known | out, origin=f"{sinogram.origin}; {name} left out")
