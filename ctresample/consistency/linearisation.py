"""Hard consistency in pixel space for a nonlinear model: the proximal step by Gauss-Newton.

Nocedal and Wright, "Numerical Optimization", 2nd edition, 2006, section 10.3.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ctresample.consistency.conjugate_gradients import per_slice, proximal_step
from ctresample.operators import LinearOperator, MeasurementModel

ProximalStep = Callable[..., torch.Tensor]

MAX_HALVINGS = 8
"""Of one step, which then is 1/256 of the full one."""


def gauss_newton(
    x0: torch.Tensor,
    y: torch.Tensor,
    model: MeasurementModel,
    *,
    spread: torch.Tensor | float,
    n_iterations: int,
    cg_iterations: int,
    start: torch.Tensor | None = None,
    proximal_step: ProximalStep = proximal_step,
) -> torch.Tensor:
    """``argmin_x |F(x) - y|^2 + |x - x0|^2 / spread^2``, each iteration a `proximal_step` of the model linearised.

    A step that would raise a slice's objective is halved for that slice until it does not. With a linear model the
    first iteration is the proximal step itself.

    The weights of the whitened model stay as they are, so that the objective is one function, which falls. For
    counts, whose noise depends on the image, call again with weights from the result and start from it: that is
    Fisher scoring, whose fixed point has the Poisson likelihood for its data term (see `Transmission.sigma`).

    Args:
        x0: ``(B, 1, rows, columns)``, or a volume ``(B, 1, slices, rows, columns)``.
        y: whitened measurement ``(B, 1, *range_shape)``.
        model: whitened model ``F``.
        spread: how far the image may be from ``x0``, in its unit.
        n_iterations: linearisations.
        cg_iterations: conjugate gradient iterations of each.
        start: where to linearise first, if not at ``x0``.
        proximal_step: what solves each linear problem: in the image's space, or `dual_proximal_step`.
    """
    x = x0 if start is None else start
    for _ in range(n_iterations):
        J, y_J = linearised_problem(x, y, model)
        target = proximal_step(x0, y_J, J, spread=spread, n_iterations=cg_iterations)
        x = towards(target, x, lambda v: squares(model(v) - y) + squares((v - x0) / spread))
    return x


def linearised_problem(
    x: torch.Tensor, y: torch.Tensor, model: MeasurementModel
) -> tuple[LinearOperator, torch.Tensor]:
    """The Jacobian at ``x`` and the measurement it would have seen: ``J v - y_J`` is ``F(v) - y`` to first order."""
    J = model.linearised(x)
    return J, y - (model(x) - J(x))


def towards(target: torch.Tensor, x: torch.Tensor, objective: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """As far from ``x`` on the way to ``target`` as does not raise the objective, slice by slice."""
    step, now = per_slice(x.new_ones(len(x)), x), objective(x)
    for _ in range(MAX_HALVINGS):
        moved = torch.lerp(x, target, step)  # exactly the target for a full step
        worse = per_slice(~(objective(moved) <= now), x)  # as is one that is not finite
        if not worse.any():
            return moved
        step = torch.where(worse, step / 2, step)
    return torch.where(worse, x, moved)


def squares(v: torch.Tensor) -> torch.Tensor:
    """Sum of squares of each slice, ``(B,)``, in float64 so that batch size leaves no trace."""
    return v.double().square().flatten(1).sum(1)
