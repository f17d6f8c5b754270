"""What a reader of one format hands on: numbers as they lie in the file, and what the file says about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Note = Callable[[str], None]

Facts = dict[str, Any]
"""Under the keys of `ctresample.data_tools.importers.description.Description`, as plain as JSON."""

FIELDS = ("flat_array", "dark_array", "flat_after_array")
"""Keys that name arrays or files of `Readings.flat`, ``dark`` and ``flat_after``."""


@dataclass(frozen=True)
class Readings:
    """The content of a file, before it has a meaning.

    Attributes:
        format: what the file is, in words.
        values: float32, axes as in the file.
        facts: what the file itself says.
        flat: readings of the open beam, axes as ``values`` without the views, in float64; None if there are none.
        flat_after: likewise, after the scan, where ``flat`` is before it; None where it is of the whole scan.
        dark: readings without a beam, likewise.
    """

    format: str
    values: NDArray[np.float32]
    facts: Facts = field(default_factory=dict)
    flat: NDArray[np.floating] | None = None
    dark: NDArray[np.floating] | None = None
    flat_after: NDArray[np.floating] | None = None
