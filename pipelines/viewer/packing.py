"""HU as text in a page: 16 bits a value, differences of neighbours, compressed, base64."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOTHING = -32768
"""Stands for a value that is not there."""

_LEVEL = 6  # of zlib: 9 takes three times as long for 1 % less


def packed(hu: NDArray[np.floating[Any]]) -> str:
    """A stack ``[slice, y, x]`` in HU as text; `unpack` in ``viewer.js`` is the way back.

    HU are rounded to whole numbers and held within 16 bits. Each value is stored less its left neighbour in the row,
    modulo 2^16: neighbours differ little, so that the upper bytes, which go after all lower ones, nearly vanish.
    """
    return base64.b64encode(_compressed(hu)).decode("ascii")


def packed_size(hu: NDArray[np.floating[Any]], *, most_slices: int = 4) -> int:
    """About how many bytes `packed` makes of a stack, from a few of its slices spread evenly."""
    step = -(-len(hu) // most_slices)
    some = hu[step // 2 :: step]
    return round(len(_compressed(some)) * len(hu) / len(some) * 4 / 3)


def _compressed(hu: NDArray[np.floating[Any]]) -> bytes:
    finite = np.isfinite(hu)
    whole = np.where(finite, np.rint(np.clip(np.nan_to_num(hu), NOTHING + 1, 32767)), NOTHING).astype(np.int16)
    steps = np.diff(whole, axis=-1, prepend=np.int16(0)).astype("<i2")  # wraps around, and so does the way back
    low_and_high = steps.reshape(-1, 1).view(np.uint8)
    return zlib.compress(low_and_high.T.tobytes(), _LEVEL)
