"""Which measurement model a reconstruction goes by: line integrals, counts, one energy or a tube's spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from ctresample.choices import MODELS, Model
from ctresample.errors import UsageError
from ctresample.offered import METHOD, Offered
from ctresample.pipelines.reconstruction.methods import METHODS

if TYPE_CHECKING:  # the choice alone must cost no torch
    import torch

    from ctresample.operators import LinearOperator, MeasurementModel
    from ctresample.pipelines.reconstruction.problem import Problem
    from ctresample.sinogram import Sinogram


@dataclass(frozen=True)
class Physics:
    """What is measured, and of how many energies.

    Attributes:
        model: "line-integrals", or "counts": photons ``I0 exp(-A x)`` with their own noise, which unlike their
            logarithm are right on average however few they are.
        tube_kilovolts: of a polychromatic beam through water and bone (`Spectrum.of_tube`), to undo beam hardening;
            None for one energy.
    """

    model: Annotated[
        Model, Offered("What to fit: line integrals, or photon counts (better where few arrive).", group=METHOD)
    ] = "line-integrals"
    tube_kilovolts: Annotated[
        float | None,
        Offered("Undo the beam hardening of a tube at this voltage in water and bone.", "KV", group=METHOD),
    ] = None

    @property
    def is_linear(self) -> bool:
        """Whether measurements are line integrals at one energy."""
        return self.model == "line-integrals" and self.tube_kilovolts is None

    def check(self, method: str, sinogram: Sinogram) -> None:
        """`UsageError` if a method or a sinogram cannot go by this."""
        if self.model not in MODELS:
            raise UsageError(f"model is {self.model!r}; expected one of {', '.join(MODELS)}")
        if not self.is_linear and not METHODS[method].nonlinear:
            raise UsageError(
                f"method {method} knows line integrals at one energy only; for counts or a tube's spectrum use one "
                f"of {', '.join(name for name, known in METHODS.items() if known.nonlinear)}"
            )
        if self.model == "counts" and sinogram.photons is None:
            raise UsageError("model counts needs the photons sent along each ray, but the sinogram states none")

    def problem(self, sinogram: Sinogram, A: LinearOperator, values: torch.Tensor, sigma: torch.Tensor) -> Problem:
        """The data and model of line integrals ``values`` with standard deviations ``sigma``."""
        from ctresample.operators import Polychromatic, Spectrum, Transmission
        from ctresample.pipelines.reconstruction.problem import Problem

        model: MeasurementModel = A
        if self.tube_kilovolts is not None:
            spectrum = Spectrum.of_tube(self.tube_kilovolts)
            model = Polychromatic(A, spectrum, mu_water_per_mm=sinogram.mu_water_per_mm)
        if self.model == "line-integrals" or sinogram.photons is None:
            return Problem(model, values, sigma)
        model = Transmission(model, sinogram.photons, electronic_noise=sinogram.electronic_noise)
        return Problem(model, model.photons * (-values).exp(), sigma)


LINEAR = Physics()
"""Line integrals at one energy."""
