"""Hard data consistency: the image, or the latent, nearest to a given one that agrees with the measurement.

All functions take the whitened problem: ``y`` divided by its noise and ``A`` a
:class:`~ctresample.operators.Weighted` operator (or, where models may be nonlinear, a
:class:`~ctresample.operators.WeightedModel`), so that a residual of root mean square one is the noise level.
Every slice of a batch has its own step sizes and stops on its own, so a batch gives what its slices give alone.
"""

from ctresample.consistency.adamw import fit_latent_by_adamw, fit_pixels_by_adamw
from ctresample.consistency.conjugate_gradients import (
    fit_to_noise,
    inner_product,
    noise_ratio,
    per_slice,
    proximal_step,
    residual_ratio,
    safe_ratio,
)
from ctresample.consistency.dual_step import dual_proximal_step
from ctresample.consistency.latent_gauss_newton import fit_latent_by_gauss_newton
from ctresample.consistency.linearisation import gauss_newton, linearised_problem
from ctresample.consistency.misfit import spread_of_misfit
from ctresample.consistency.neighbours import Neighbours
from ctresample.consistency.noise_matching import match_noise
from ctresample.consistency.origin import open_part

__all__ = [
    "Neighbours",
    "dual_proximal_step",
    "fit_latent_by_adamw",
    "fit_latent_by_gauss_newton",
    "fit_pixels_by_adamw",
    "fit_to_noise",
    "gauss_newton",
    "inner_product",
    "linearised_problem",
    "match_noise",
    "noise_ratio",
    "open_part",
    "per_slice",
    "proximal_step",
    "residual_ratio",
    "safe_ratio",
    "spread_of_misfit",
]
