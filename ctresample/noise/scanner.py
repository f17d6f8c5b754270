"""What a scanner does beside counting: filter, tube current, blur, crosstalk and faulty bins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.geometry import Geometry
from ctresample.noise.detector import gain_errors
from ctresample.noise.dose import bow_tie, tube_current
from ctresample.offered import DOSE, SCANNER, Offered

MAX_BOW_TIE_MM = 700.0
"""Of water; behind more, a filter lets less than one photon in a million pass at the edge."""


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """How a simulated scanner differs from the plainest one, which sends the same photons along every ray.

    Attributes:
        bow_tie_mm: diameter of the water cylinder whose paths the bow-tie filter equalises; None for no filter.
        tube_current_modulation: strength from 0 to 1 with which the tube current follows each view's attenuation.
        blur_mm: full width at half maximum of the point spread along the detector, before counting.
        crosstalk: share of each bin's counted signal that either neighbour gets, from 0 to below 1/3.
        faulty_bins: share of the bins with a wrong gain, which no calibration has taken out: they make rings.
        gain_error: standard deviation of the logarithm of their gains, in standard deviations of all line integrals.

    Raises:
        UsageError: one of them is out of range.
    """

    bow_tie_mm: Annotated[
        float | None,
        Offered("Bow-tie filter for a water cylinder of this diameter.", "MM", name="bow-tie", group=DOSE),
    ] = None
    tube_current_modulation: Annotated[
        float, Offered("How far the current follows the patient: 0 not, 0.5 best.", "STRENGTH", group=DOSE)
    ] = 0.0
    blur_mm: Annotated[float, Offered("Width (FWHM) of the detector's point spread.", "MM", group=SCANNER)] = 0.0
    crosstalk: Annotated[float, Offered("Signal each bin passes to a neighbour.", "SHARE", group=SCANNER)] = 0.0
    faulty_bins: float = 0.0
    gain_error: float = 0.0

    def __post_init__(self) -> None:
        if self.bow_tie_mm is not None and not 0 < self.bow_tie_mm <= MAX_BOW_TIE_MM:
            raise UsageError(
                f"bow_tie_mm is {self.bow_tie_mm}; expected the diameter of a water cylinder, above 0 and at most "
                f"{MAX_BOW_TIE_MM:g}"
            )
        if not 0 <= self.tube_current_modulation <= 1:
            raise UsageError(
                f"tube_current_modulation is {self.tube_current_modulation}; expected a strength from 0 (none) to 1"
            )
        if not (math.isfinite(self.blur_mm) and self.blur_mm >= 0):
            raise UsageError(f"blur_mm is {self.blur_mm}; expected a full width at half maximum of 0 or more")
        if not 0 <= self.crosstalk < 1 / 3:
            raise UsageError(
                f"crosstalk is {self.crosstalk}; expected the share that goes to each neighbour, from 0 to below 1/3"
            )
        if not 0 <= self.faulty_bins <= 1:
            raise UsageError(f"faulty_bins is {self.faulty_bins}; expected a share of the bins, from 0 to 1")
        if not (math.isfinite(self.gain_error) and self.gain_error >= 0):
            raise UsageError(f"gain_error is {self.gain_error}; expected a standard deviation of 0 or more")

    @property
    def shapes_photons(self) -> bool:
        """Whether rays get unequal numbers of photons."""
        return self.bow_tie_mm is not None or self.tube_current_modulation > 0

    def photons_sent(
        self, photons: float, geometry: Geometry, transmission: NDArray[np.float64]
    ) -> float | NDArray[np.float32]:
        """Photons along each ray.

        Args:
            photons: through the middle of the filter, on average over the views.
            geometry: the scan.
            transmission: share that the object lets through, ``[slice, view, detector]``. The current of a view
                follows its largest line integral, averaged over the slices, which all get the same.

        Returns:
            ``photons`` itself where all are alike, else ``[view, detector]``.
        """
        if not self.shapes_photons:
            return photons
        sent = np.full((geometry.n_views, geometry.n_detectors), photons)
        if self.bow_tie_mm is not None:
            sent *= bow_tie(geometry, self.bow_tie_mm)
        if self.tube_current_modulation:
            attenuation = -np.log(transmission.min(axis=-1)).mean(axis=0)
            sent *= tube_current(attenuation, self.tube_current_modulation)[:, None]
        return sent.astype(np.float32)

    def ring_pattern(
        self, values: NDArray[np.floating], n_detectors: int, generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """What the faulty bins add to line integrals ``values``: ``[detector]``, one detector for all slices."""
        spread = self.gain_error * float(np.std(values, dtype=np.float64))
        errors = gain_errors(n_detectors, share=self.faulty_bins, spread=spread, generator=generator)
        return errors.astype(np.float32)

    def __str__(self) -> str:
        """What is not plain, in words; nothing where all is."""
        parts = []
        if self.bow_tie_mm is not None:
            parts.append(f"bow-tie filter for {self.bow_tie_mm:g} mm of water")
        if self.tube_current_modulation:
            parts.append(f"tube current modulation {self.tube_current_modulation:g}")
        if self.blur_mm:
            parts.append(f"blur {self.blur_mm:g} mm")
        if self.crosstalk:
            parts.append(f"crosstalk {self.crosstalk:g}")
        if self.faulty_bins and self.gain_error:
            parts.append(f"gains of {self.faulty_bins:.3g} of the bins wrong by {self.gain_error:g}")
        return ", ".join(parts)


PLAIN = Scanner()
"""A scanner that sends the same photons along every ray, and whose bins neither blur nor touch."""
