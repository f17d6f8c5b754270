"""Hard consistency as published: gradient descent by AdamW, in pixel space and in latent space.

Song et al., ICLR 2024, section 3.1. The optimiser is restarted at each call, as in the released code; unlike there,
each slice stops at its noise level and nothing pulls it to zero, unless the caller asks for either.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ctresample.consistency.conjugate_gradients import per_slice, residual_ratio
from ctresample.operators import MeasurementModel


def fit_pixels_by_adamw(
    x0: torch.Tensor,
    y: torch.Tensor,
    A: MeasurementModel,
    *,
    unit: float,
    lr: float,
    max_iterations: int,
    target: torch.Tensor | float = 1.0,
    weight_decay: float = 0.0,
) -> torch.Tensor:
    """An image that agrees with ``y``, found by descent from ``x0``.

    Args:
        x0: ``(B, 1, rows, columns)``.
        y: whitened measurement ``(B, 1, views, detectors)``.
        A: whitened operator, or nonlinear model.
        unit: image value that ``lr`` refers to, so that the step does not depend on the image's unit.
        lr: AdamW step.
        max_iterations: steps at most.
        target: residual at which a slice stops, in noise levels; one number, or one a slice ``(B,)``.
        weight_decay: of AdamW.
    """
    return unit * _descend(x0 / unit, y, lambda u: A(unit * u), lr, max_iterations, target, weight_decay)


def fit_latent_by_adamw(
    z0: torch.Tensor,
    y: torch.Tensor,
    A: MeasurementModel,
    decode: Callable[[torch.Tensor], torch.Tensor],
    *,
    lr: float,
    max_iterations: int,
    target: torch.Tensor | float = 1.0,
    weight_decay: float = 0.0,
) -> torch.Tensor:
    """Latents whose image agrees with ``y``, found by descent through the decoder from ``z0``.

    Args:
        z0: ``(B, C, h, w)``.
        y: whitened measurement ``(B, 1, views, detectors)``.
        A: whitened operator, or nonlinear model.
        decode: latents to images, differentiable.
        lr: AdamW step.
        max_iterations: steps at most.
        target: residual at which a slice stops, in noise levels; one number, or one a slice ``(B,)``.
        weight_decay: of AdamW.
    """
    return _descend(z0, y, lambda z: A(decode(z)), lr, max_iterations, target, weight_decay)


def _descend(
    start: torch.Tensor,
    y: torch.Tensor,
    model: Callable[[torch.Tensor], torch.Tensor],
    lr: float,
    max_iterations: int,
    target: torch.Tensor | float,
    weight_decay: float,
) -> torch.Tensor:
    with torch.enable_grad():
        v = start.detach().clone().requires_grad_()
        optimiser = torch.optim.AdamW([v], lr=lr, weight_decay=weight_decay)
        for _ in range(max_iterations):
            residual = model(v) - y
            at_noise = residual_ratio(residual.detach()) <= target
            if bool(at_noise.all()):
                break
            optimiser.zero_grad()
            residual.square().flatten(1).mean(1).sum().backward()
            before = v.detach().clone()
            optimiser.step()
            with torch.no_grad():  # a slice at its noise level stays, whatever the others in the batch need
                v.copy_(torch.where(per_slice(at_noise, v), before, v))
    return v.detach()
