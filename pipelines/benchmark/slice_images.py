"""What a report shows of one slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.pipelines.viewer.zoom import Zoom


@dataclass(frozen=True)
class SliceImages:
    """One slice as it is and as each method reconstructed it.

    Attributes:
        truth_hu: ``[y, x]`` in HU.
        by_method: label to show -> ``[y, x]`` in HU, of the same shape; in the order to show.
        condition: name of the scan.
        zoom: the region to show enlarged in the first window, framed in red; None for none.
    """

    truth_hu: NDArray[np.floating[Any]]
    by_method: Mapping[str, NDArray[np.floating[Any]]]
    condition: str
    zoom: Zoom | None = None
