"""X-ray spectra, and how water, bone and aluminium attenuate each energy.

Mass attenuation coefficients: Hubbell and Seltzer, "Tables of X-Ray Mass Attenuation Coefficients", NISTIR 5632
(NIST Standard Reference Database 126), between whose energies a cubic spline of the logarithms interpolates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from ctresample.errors import UsageError

ENERGIES_KEV = (15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0, 200.0)
"""Energies of the tables; none of the materials below has an absorption edge between them."""

LOWEST_OF_A_TUBE_KEV = 20.0
"""What a tube sends below, its filter takes."""


@dataclass(frozen=True)
class Material:
    """A substance.

    Attributes:
        name: for messages.
        density_g_per_cm3: its density.
        mass_attenuation_cm2_per_g: at each of `ENERGIES_KEV`.
    """

    name: str
    density_g_per_cm3: float
    mass_attenuation_cm2_per_g: tuple[float, ...]

    def mu_per_mm(self, energy_kev: ArrayLike) -> NDArray[np.float64]:
        """Attenuation in 1/mm at energies within the tables."""
        logarithm = CubicSpline(np.log(ENERGIES_KEV), np.log(self.mass_attenuation_cm2_per_g))
        return np.exp(logarithm(np.log(energy_kev))) * self.density_g_per_cm3 / 10

    def energy_kev(self, mu_per_mm: float) -> float:
        """The energy at which it attenuates so much; `UsageError` if that is outside the tables."""
        lowest, highest = ENERGIES_KEV[0], ENERGIES_KEV[-1]
        most, least = self.mu_per_mm([lowest, highest])
        if not least <= mu_per_mm <= most:
            raise UsageError(
                f"attenuation of {self.name} is {mu_per_mm} 1/mm; expected {least:.4f} to {most:.4f} 1/mm, its values "
                f"from {highest:g} to {lowest:g} keV"
            )
        return float(brentq(lambda energy: self.mu_per_mm(energy) - mu_per_mm, lowest, highest))


WATER = Material("water", 1.0, (1.673, 0.8096, 0.3756, 0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1505, 0.1370))
BONE = Material(  # cortical, ICRU Report 44
    "bone", 1.92, (9.032, 4.001, 1.331, 0.6655, 0.4242, 0.3148, 0.2229, 0.1855, 0.1480, 0.1309)
)
ALUMINIUM = Material("aluminium", 2.699, (7.955, 3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018, 0.1704, 0.1378, 0.1223))


@dataclass(frozen=True)
class Spectrum:
    """How much each energy adds to the signal of an unattenuated ray.

    Attributes:
        energies_kev: within `ENERGIES_KEV`.
        weights: share of the signal at each energy, not negative; scaled to a sum of 1.
    """

    energies_kev: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        energies, weights = np.asarray(self.energies_kev, float), np.asarray(self.weights, float)
        if energies.ndim != 1 or energies.shape != weights.shape or len(energies) == 0:
            raise UsageError(
                f"spectrum has energies of shape {energies.shape} and weights of shape {weights.shape}; expected one "
                "weight an energy"
            )
        if not ((energies >= ENERGIES_KEV[0]) & (energies <= ENERGIES_KEV[-1])).all():
            raise UsageError(
                f"spectrum reaches from {energies.min():g} to {energies.max():g} keV; expected energies within "
                f"{ENERGIES_KEV[0]:g} to {ENERGIES_KEV[-1]:g} keV"
            )
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
            raise UsageError(
                "spectrum: a weight is negative or not finite, or all are 0; expected shares of the signal"
            )
        object.__setattr__(self, "energies_kev", tuple(map(float, energies)))
        object.__setattr__(self, "weights", tuple(map(float, weights / weights.sum())))

    @classmethod
    def of_tube(cls, kilovolts: float = 120.0, *, aluminium_mm: float = 6.0, step_kev: float = 5.0) -> Spectrum:
        """Bremsstrahlung of an X-ray tube, filtered, as an energy-integrating detector weighs it.

        Kramers' law, without characteristic lines: the energy sent per keV falls linearly to zero at the tube's
        voltage. What is below 20 keV, the filter has taken.

        Args:
            kilovolts: tube voltage.
            aluminium_mm: total filtration, tube and bow tie, as aluminium; 6 mm is usual for CT.
            step_kev: width of the energy bins, at most; each is represented by its middle.
        """
        lowest, highest = LOWEST_OF_A_TUBE_KEV, ENERGIES_KEV[-1]
        if not lowest < kilovolts <= highest or not aluminium_mm >= 0 or not step_kev > 0:
            raise UsageError(
                f"spectrum of {kilovolts} kV, {aluminium_mm} mm aluminium and steps of {step_kev} keV; expected above "
                f"{lowest:g} up to {highest:g} kV, 0 mm or more, and steps above 0"
            )
        edges = np.linspace(lowest, kilovolts, 1 + int(np.ceil((kilovolts - lowest) / step_kev)))
        energies = (edges[1:] + edges[:-1]) / 2
        weights = (kilovolts - energies) * np.exp(-ALUMINIUM.mu_per_mm(energies) * aluminium_mm)
        return cls(tuple(energies), tuple(weights))
