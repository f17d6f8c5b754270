"""CGLS: conjugate gradients on the normal equations, stopped at the noise.

Bjorck, "Numerical Methods for Least Squares Problems", 1996, section 7.4.
"""

from __future__ import annotations

import torch

from ctresample.consistency import fit_to_noise, noise_ratio
from ctresample.operators import LinearOperator, Weighted
from ctresample.operators.given import measured
from ctresample.status import Callback


def cgls(
    y: torch.Tensor,
    A: LinearOperator,
    *,
    sigma: torch.Tensor,
    max_iterations: int = 30,
    start: torch.Tensor | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Attenuation that fits the data to their noise, from zero or a start: early stopping is the regularisation.

    In single precision a slice alone and one of a batch differ by up to some HU (6.5 seen, 0.9 root mean square): their
    products are summed in another order, and iterations far from the solution enlarge the last bits. `reconstruct`
    therefore hands over one slice at a time.

    Args:
        y: line integrals ``(B, 1, views, detectors)``, or of a cone beam ``(B, 1, rows, views, detectors)``.
        A: the projector.
        sigma: standard deviation of each value of ``y``.
        max_iterations: pairs of projection and back projection at most.
        start: images ``(B, 1, *A.domain_shape)``; what the data do not tell, stays as there. By default zero.
        callback: told of every iteration.
    """
    y, sigma = measured(A, y, sigma)
    start = y.new_zeros(len(y), 1, *A.domain_shape) if start is None else start
    return fit_to_noise(
        start,
        y / sigma,
        Weighted(A, 1 / sigma),
        max_iterations=max_iterations,
        target=noise_ratio(sigma.expand_as(y)),
        callback=callback,
    )
