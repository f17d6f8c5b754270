"""A batch of measurements to fit, linear or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.consistency import linearised_problem
from ctresample.operators import LinearOperator, MeasurementModel, Transmission

LINEARISATIONS = 2
"""After the first image, which takes the problem to be linear."""


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
        if not isinstance(self.model, Transmission):
            return self.sigma_of_lines
        return torch.where(self.sigma_of_lines < BAD_RAY_SIGMA, self.model.sigma(self.model(x)), BAD_RAY_SIGMA)

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
