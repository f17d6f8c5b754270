"""Differences between neighbouring pixels or voxels."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def gradient(u: torch.Tensor, slopes: Sequence[float]) -> torch.Tensor:
    """Forward differences along each axis of an image, 0 past the border.

    Args:
        u: ``(B, 1, *shape)``.
        slopes: what the differences along each axis are multiplied with.

    Returns:
        ``(axes, B, 1, *shape)``.
    """
    g = u.new_zeros(len(slopes), *u.shape)
    for axis, slope in enumerate(slopes):
        n = u.shape[axis + 2]
        torch.sub(u.narrow(axis + 2, 1, n - 1), u.narrow(axis + 2, 0, n - 1), out=g[axis].narrow(axis + 2, 0, n - 1))
        g[axis] *= slope
    return g


def divergence(q: torch.Tensor, slopes: Sequence[float]) -> torch.Tensor:
    """Minus the adjoint of the gradient, ``(axes, B, 1, *shape)`` to ``(B, 1, *shape)``."""
    d = torch.zeros_like(q[0])
    for axis, slope in enumerate(slopes):
        n = d.shape[axis + 2]
        inner = slope * q[axis].narrow(axis + 2, 0, n - 1)
        d.narrow(axis + 2, 0, n - 1).add_(inner)
        d.narrow(axis + 2, 1, n - 1).sub_(inner)
    return d
