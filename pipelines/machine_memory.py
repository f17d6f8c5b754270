"""How much memory this machine has."""

from __future__ import annotations

import math
import os


def memory_bytes() -> float:
    """All of it, used or not; infinite where the system does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # Windows does not say so here
        return math.inf
