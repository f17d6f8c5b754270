"""The contract of a linear operator, and the test that its adjoint is one."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from ctresample.errors import GeometryError


class LinearOperator(ABC):
    """A linear map ``A`` between batched tensors, with its exact adjoint.

    ``A(x)`` maps ``(B, 1, *domain_shape)`` to ``(B, 1, *range_shape)`` and ``A.T(y)`` goes back.

    Attributes:
        domain_shape: shape of one image, ``(rows, columns)``.
        range_shape: shape of one measurement, ``(views, detectors)``.
        device: where images and measurements must lie.
        dtype: their floating-point type.
    """

    domain_shape: tuple[int, int]
    range_shape: tuple[int, int]
    device: torch.device
    dtype: torch.dtype

    @abstractmethod
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``A x`` for a checked ``x``."""

    @abstractmethod
    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """``A^T y`` for a checked ``y``."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(_checked(x, self.domain_shape, "image"))

    @property
    def T(self) -> Transposed:
        """The adjoint, callable; ``A.T.T is A``."""
        return Transposed(self)

    def norm(self, n_iterations: int = 50) -> float:
        """Largest singular value, by power iteration on ``A^T A`` from a fixed random start."""
        start = torch.rand((1, 1, *self.domain_shape), generator=torch.Generator().manual_seed(0), dtype=self.dtype)
        x = start.to(self.device)
        value = 0.0
        for _ in range(n_iterations):
            x = self.adjoint(self.forward(x / x.norm()))
            value = float(x.norm())
        return value**0.5


class Transposed:
    """``A^T`` as a callable."""

    def __init__(self, operator: LinearOperator) -> None:
        self.T = operator

    def __call__(self, y: torch.Tensor) -> torch.Tensor:
        return self.T.adjoint(_checked(y, self.T.range_shape, "measurement"))


def dot_test(operator: LinearOperator, seed: int = 0, batch: int = 2) -> float:
    """How far ``A.T`` is from the adjoint of ``A``.

    Returns:
        ``|<A x, y> - <x, A^T y>| / (|A x| |y|)`` for random ``x`` and ``y``, summed in float64; 0 is exact.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((batch, 1, *operator.domain_shape), generator=generator, dtype=operator.dtype)
    y = torch.randn((batch, 1, *operator.range_shape), generator=generator, dtype=operator.dtype)
    x, y = x.to(operator.device), y.to(operator.device)
    ax, aty = operator(x).double(), operator.T(y).double()
    gap = (ax * y.double()).sum() - (x.double() * aty).sum()
    return float(gap.abs() / (ax.norm() * y.double().norm()))


def _checked(tensor: torch.Tensor, shape: tuple[int, int], what: str) -> torch.Tensor:
    if tensor.ndim != 4 or tensor.shape[1:] != (1, *shape):
        raise GeometryError(f"{what} has shape {tuple(tensor.shape)}; expected (batch, 1, {shape[0]}, {shape[1]})")
    return tensor
