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
    return add_gradient_(u.new_zeros(len(slopes), *u.shape), u, slopes)


def add_gradient_(g: torch.Tensor, u: torch.Tensor, slopes: Sequence[float]) -> torch.Tensor:
    """``g`` plus the gradient, in place."""
    for axis, slope in enumerate(slopes):
        n = u.shape[axis + 2] - 1
        inner = g[axis].narrow(axis + 2, 0, n)
        inner.add_(u.narrow(axis + 2, 1, n), alpha=slope).sub_(u.narrow(axis + 2, 0, n), alpha=slope)
    return g


def divergence(q: torch.Tensor, slopes: Sequence[float], scale: torch.Tensor | None = None) -> torch.Tensor:
    """Minus the adjoint of the gradient, ``(axes, B, 1, *shape)`` to ``(B, 1, *shape)``.

    ``scale`` is what the differences of each slice of a volume are multiplied with, ``(B, 1, slices, 1, 1)``.
    """
    d = torch.zeros_like(q[0])
    for axis, slope in enumerate(slopes):
        n = d.shape[axis + 2] - 1
        inner = q[axis].narrow(axis + 2, 0, n)
        if scale is not None:
            inner = inner * (scale[:, :, :n] if axis == 0 else scale)
        d.narrow(axis + 2, 0, n).add_(inner, alpha=slope)
        d.narrow(axis + 2, 1, n).sub_(inner, alpha=slope)
    return d
