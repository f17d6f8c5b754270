"""What a solver is given, made once into the tensors that it computes with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.arrays import as_array
from ctresample.operators.base import MeasurementModel, checked

Values = torch.Tensor | NDArray[Any]


def measured(A: MeasurementModel, y: Values, sigma: Values) -> tuple[torch.Tensor, torch.Tensor]:
    """A measurement and its standard deviations in the type of a model, on its device.

    Args:
        A: what measured it.
        y: ``(B, 1, *A.range_shape)``.
        sigma: one for each value, or what broadcasts to that.

    Raises:
        GeometryError: ``y`` has another shape.
        UsageError: no real numbers.
    """
    y, sigma = (as_tensor(values, name).to(A.device, A.dtype) for values, name in ((y, "y"), (sigma, "sigma")))
    return checked(y, A, A.range_shape, "y"), sigma


def as_tensor(values: Values, name: str) -> torch.Tensor:
    """A tensor of real numbers as it is, whole numbers and arrays as one of floats; `UsageError` for anything else."""
    if isinstance(values, torch.Tensor) and values.is_floating_point():
        return values
    made = torch.from_numpy(as_array(values, name, np.float64))
    return made if getattr(values, "dtype", None) == np.float64 else made.float()
