"""The contracts of a measurement model and of a linear operator, and the test that an adjoint is one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import torch

from ctresample.errors import GeometryError, UsageError

ROW_PROBES = 16
"""Random images from which the row norms of an operator of unknown making are estimated, within 18 % (rms)."""


class MeasurementModel(ABC):
    """What a scan of an image would measure: a differentiable map of batched tensors, linear or not.

    ``F(x)`` maps ``(B, 1, *domain_shape)`` to ``(B, 1, *range_shape)``, each image by itself.

    Attributes:
        domain_shape: shape of one image ``(rows, columns)`` or volume ``(slices, rows, columns)``.
        range_shape: shape of one measurement: ``(views, detectors)``, of a cone beam ``(detector rows, views,
            detectors)``.
        device: where images and measurements must lie.
        dtype: their floating-point type.
    """

    domain_shape: tuple[int, ...]
    range_shape: tuple[int, ...]
    device: torch.device
    dtype: torch.dtype

    @abstractmethod
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``F(x)`` for a checked ``x``, differentiable."""

    @abstractmethod
    def linearised(self, x: torch.Tensor) -> LinearOperator:
        """The Jacobian at ``x``; a batch of images ties it to batches of that size."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(checked(x, self, self.domain_shape, "image"))


class LinearOperator(MeasurementModel):
    """A linear map ``A`` between batched tensors, with its adjoint: the model that is its own Jacobian.

    ``A(x)`` maps ``(B, 1, *domain_shape)`` to ``(B, 1, *range_shape)`` and ``A.T(y)`` goes back. ``A @ B`` is the
    composition, ``2.0 * A`` the multiple, ``A.normalised()`` the multiple of norm one.

    Attributes:
        exact_adjoint: whether ``A.T`` is the adjoint up to rounding. Conjugate gradients rely on it.
    """

    exact_adjoint: bool = True

    @abstractmethod
    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """``A^T y`` for a checked ``y``, differentiable."""

    def linearised(self, x: torch.Tensor) -> LinearOperator:
        return self

    @cached_property
    def row_norms(self) -> torch.Tensor:
        """Euclidean norm of each row of ``A``, ``(1, 1, *range_shape)``, or of each image's; about right will do.

        It scales equations in measurement space. Here it is estimated: the image of random signs has the variance
        ``diag(A A^T)`` (Hutchinson, Commun. Stat. Simul. Comput. 19, 1990). Operators that know better say so.
        """
        generator, total = torch.Generator().manual_seed(0), torch.zeros((), dtype=self.dtype, device=self.device)
        with torch.no_grad():
            for _ in range(ROW_PROBES):
                signs = torch.randint(2, (1, 1, *self.domain_shape), generator=generator).to(self.dtype) * 2 - 1
                total = total + self.forward(signs.to(self.device)).square()
        return (total / ROW_PROBES).sqrt()

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

    def normalised(self) -> LinearOperator:
        """``A / |A|``, whose largest singular value is one."""
        return (1 / self.norm()) * self

    def __matmul__(self, inner: LinearOperator) -> LinearOperator:
        return Composed(self, inner)

    def __rmul__(self, factor: float) -> LinearOperator:
        return Scaled(self, factor)


class Transposed:
    """``A^T`` as a callable."""

    def __init__(self, operator: LinearOperator) -> None:
        self.T = operator

    def __call__(self, y: torch.Tensor) -> torch.Tensor:
        return self.T.adjoint(checked(y, self.T, self.T.range_shape, "measurement"))


def dot_test(operator: LinearOperator, seed: int = 0, batch: int = 2) -> float:
    """How far ``A.T`` is from the adjoint of ``A``.

    Example:
        >>> from ctresample import ImageGrid, ParallelBeam, SparseProjector
        >>> grid = ImageGrid((8, 8), pixel_size_mm=1.0)
        >>> dot_test(SparseProjector(ParallelBeam.for_grid(grid, n_views=5), grid)) < 1e-6
        True

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


def checked(tensor: torch.Tensor, model: MeasurementModel, shape: tuple[int, ...], what: str) -> torch.Tensor:
    """The tensor itself, if it is a batch of this shape, of the model's type and on its device.

    Raises:
        GeometryError: another shape.
        UsageError: no tensor, or one of another type or elsewhere: nothing is converted anew at every call.
    """
    if not isinstance(tensor, torch.Tensor):
        raise UsageError(
            f"{what} is of type {type(tensor).__name__}; expected a torch tensor, as torch.as_tensor makes it"
        )
    if tensor.dtype != model.dtype or tensor.device.type != model.device.type:
        raise UsageError(
            f"{what} is {tensor.dtype} on {tensor.device}; the operator takes {model.dtype} on {model.device}; use "
            f"{what}.to(A.device, A.dtype)"
        )
    if tensor.ndim != len(shape) + 2 or tensor.shape[1:] != (1, *shape):
        expected = ", ".join(map(str, ("batch", 1, *shape)))
        raise GeometryError(f"{what} has shape {tuple(tensor.shape)}; expected ({expected})")
    return tensor


class Composed(LinearOperator):
    """``outer @ inner``: first ``inner``, then ``outer``."""

    def __init__(self, outer: LinearOperator, inner: LinearOperator) -> None:
        if outer.domain_shape != inner.range_shape:
            raise GeometryError(
                f"operators do not fit: the inner one ends in shape {inner.range_shape}, the outer one starts from "
                f"{outer.domain_shape}"
            )
        self.outer, self.inner = outer, inner
        self.domain_shape, self.range_shape = inner.domain_shape, outer.range_shape
        self.device, self.dtype = inner.device, inner.dtype
        self.exact_adjoint = outer.exact_adjoint and inner.exact_adjoint

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outer.forward(self.inner.forward(x))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))


class Scaled(LinearOperator):
    """``factor * A``."""

    def __init__(self, operator: LinearOperator, factor: float) -> None:
        self.operator, self.factor = operator, factor
        self.domain_shape, self.range_shape = operator.domain_shape, operator.range_shape
        self.device, self.dtype = operator.device, operator.dtype
        self.exact_adjoint = operator.exact_adjoint

    @cached_property
    def row_norms(self) -> torch.Tensor:
        return abs(self.factor) * self.operator.row_norms

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * self.operator.forward(x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return self.factor * self.operator.adjoint(y)
