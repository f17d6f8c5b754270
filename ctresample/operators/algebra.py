"""Operators made of operators."""

from __future__ import annotations

from functools import cached_property

import torch

from ctresample.errors import GeometryError
from ctresample.operators.base import LinearOperator


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
