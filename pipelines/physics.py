"""Which measurement model a reconstruction goes by: line integrals, counts, one energy or a tube's spectrum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ctresample.choices import MODELS, Model
from ctresample.consistency import linearised_problem
from ctresample.errors import UsageError
from ctresample.operators import LinearOperator, MeasurementModel, Polychromatic, Projector, Spectrum, Transmission
from ctresample.pipelines.methods import METHODS
from ctresample.sinogram import Sinogram

LINEARISATIONS = 2
"""After the first image, which takes the problem to be linear."""


@dataclass(frozen=True)
class Physics:
    """What is measured, and of how many energies.

    Attributes:
        model: "line-integrals", or "counts": photons ``I0 exp(-A x)`` with their own noise, which unlike their
            logarithm are right on average however few they are.
        tube_kilovolts: of a polychromatic beam through water and bone (`Spectrum.of_tube`), to undo beam hardening;
            None for one energy.
    """

    model: Model = "line-integrals"
    tube_kilovolts: float | None = None

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

    def problem(self, sinogram: Sinogram, A: Projector, values: torch.Tensor, sigma: torch.Tensor) -> Problem:
        """The data and model of line integrals ``values`` with standard deviations ``sigma``."""
        model: MeasurementModel = A
        if self.tube_kilovolts is not None:
            spectrum = Spectrum.of_tube(self.tube_kilovolts)
            model = Polychromatic(A, spectrum, mu_water_per_mm=sinogram.mu_water_per_mm)
        if self.model == "line-integrals" or sinogram.photons is None:
            return Problem(model, values, sigma)
        model = Transmission(model, sinogram.photons, electronic_noise=sinogram.electronic_noise)
        return Problem(model, model.photons * torch.exp(-values), sigma)


@dataclass(frozen=True)
class Problem:
    """A batch of measurements to fit.

    Attributes:
        model: what images are measured by.
        data: ``(B, 1, *model.range_shape)``.
        sigma_of_lines: standard deviation of the line integrals behind the data.
    """

    model: MeasurementModel
    data: torch.Tensor
    sigma_of_lines: torch.Tensor

    @property
    def is_linear(self) -> bool:
        """Whether the data are line integrals at one energy."""
        return isinstance(self.model, LinearOperator)

    def sigma(self, x: torch.Tensor) -> torch.Tensor:
        """Standard deviation of the data, if ``x`` is the image: of counts that of the expected ones."""
        return self.model.sigma(self.model(x)) if isinstance(self.model, Transmission) else self.sigma_of_lines

    def refined(
        self, x: torch.Tensor, solve: Callable[[torch.Tensor, LinearOperator, torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """A linear solver's image, by solving the model linearised at the last image again.

        Args:
            x: its image of the linear problem.
            solve: data, operator and standard deviations to an image.
        """
        for _ in range(LINEARISATIONS):
            J, y_J = linearised_problem(x, self.data, self.model)
            x = solve(y_J, J, self.sigma(x))
        return x
