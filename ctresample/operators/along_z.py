"""Errors that neighbouring slices have in common: a random walk along z that forgets where the slices differ.

The errors of a first-order autoregressive process (Rue and Held, "Gaussian Markov Random Fields", 2005, section 1.1)
have unit variance in every voxel and correlation ``rho`` from a slice to the next one, whatever ``rho`` is in each
voxel: ``e_0 = u_0`` and ``e_k = rho_k e_(k-1) + sqrt(1 - rho_k^2) u_k`` with independent ``u``. So a solver whose prior
takes ``u`` for independent couples the slices by working on ``F u``, with one pass along z and its transpose.
"""

from __future__ import annotations

import torch

from ctresample.operators.base import LinearOperator, MeasurementModel


class AlongZ(LinearOperator):
    """``F``: volumes ``(B, 1, slices, rows, columns)`` of independent voxels to ones correlated along z.

    Args:
        correlation: of each slice with the one before, ``(slices - 1, rows, columns)`` or what broadcasts to that,
            from 0 to below 1.
        shape: of a volume.
        like: a tensor of the type, and on the device, of volumes.
    """

    def __init__(self, correlation: torch.Tensor, shape: tuple[int, ...], like: torch.Tensor) -> None:
        self.domain_shape = self.range_shape = shape
        self.device, self.dtype = like.device, like.dtype
        self._rho = correlation.to(like).expand(shape[0] - 1, *shape[1:])
        self._fresh = (1 - self._rho.square()).sqrt()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        errors = [x[:, :, 0]]
        for k in range(1, self.domain_shape[0]):
            errors.append(self._rho[k - 1] * errors[-1] + self._fresh[k - 1] * x[:, :, k])
        return torch.stack(errors, 2)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        carried, parts = y[:, :, -1], []
        for k in range(self.domain_shape[0] - 1, 0, -1):
            parts.append(self._fresh[k - 1] * carried)
            carried = y[:, :, k - 1] + self._rho[k - 1] * carried
        return torch.stack([*reversed([*parts, carried])], 2)


class Shifted(MeasurementModel):
    """``u -> A(x0 + F u)``: what is measured of a volume that lies a correlated error away from ``x0``."""

    def __init__(self, A: MeasurementModel, x0: torch.Tensor, F: LinearOperator) -> None:
        self.A, self.x0, self.F = A, x0, F
        self.domain_shape, self.range_shape = A.domain_shape, A.range_shape
        self.device, self.dtype = A.device, A.dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.A(self.x0 + self.F(x))

    def linearised(self, x: torch.Tensor) -> LinearOperator:
        return CorrelatedRows(self.A.linearised(self.x0 + self.F(x)), self.F)


class CorrelatedRows(LinearOperator):
    """``A F``, whose rows are about as long as those of ``A``.

    Of rays in one slice they are so exactly where the correlation is uniform, for each voxel keeps its variance.
    """

    def __init__(self, A: LinearOperator, F: LinearOperator) -> None:
        self.A, self.F = A, F
        self.domain_shape, self.range_shape = A.domain_shape, A.range_shape
        self.device, self.dtype, self.exact_adjoint = A.device, A.dtype, A.exact_adjoint

    @property
    def row_norms(self) -> torch.Tensor:
        return self.A.row_norms

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.A.forward(self.F.forward(x))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return self.F.adjoint(self.A.adjoint(y))
