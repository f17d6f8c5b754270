"""How strongly slices are asked to help each other, without what it takes to do it."""

from __future__ import annotations

import math

from ctresample.choices import ZCoupling
from ctresample.errors import UsageError


def coupling_strength(asked: ZCoupling) -> float:
    """The strength that is asked for, 1 for "auto" and 0 for "none"; numbers may be text.

    Raises:
        UsageError: no such choice.
    """
    try:
        strength = {"auto": 1.0, "none": 0.0}.get(str(asked)) if isinstance(asked, str) else None
        strength = float(asked) if strength is None else strength
    except (TypeError, ValueError):
        strength = math.nan
    if not 0 <= strength <= 100:
        raise UsageError(f"z_coupling is {asked!r}; expected auto, none, or a strength up to 100, such as 1")
    return strength
