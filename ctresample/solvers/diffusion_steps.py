"""What solvers with a diffusion prior have in common: a step of DDIM, noise slice by slice, and what to refuse."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ctresample.errors import PriorError, UsageError


def ddim_step(
    z_0: torch.Tensor,
    epsilon: torch.Tensor,
    noise: torch.Tensor,
    *,
    alpha_bar: float,
    following: float,
    eta: float,
) -> torch.Tensor:
    """From the level of ``alpha_bar`` to the cleaner one ``following`` (Song, Meng and Ermon, ICLR 2021, eq. 12).

    Args:
        z_0: the estimate of what is clean.
        epsilon: the estimated noise.
        noise: fresh standard normal noise.
        alpha_bar: of the present level.
        following: alpha_bar of the next level; 1 is clean.
        eta: share of fresh noise, from 0 (deterministic) to 1 (ancestral sampling, as in DDPM).
    """
    fresh = eta * ((1 - following) / (1 - alpha_bar) * (1 - alpha_bar / following)) ** 0.5
    return following**0.5 * z_0 + (1 - following - fresh**2) ** 0.5 * epsilon + fresh * noise


def normal_like(z: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Standard normal noise, that of each slice from its own CPU generator: neither batch nor device leave a trace."""
    return torch.stack([torch.randn(z.shape[1:], generator=generator) for generator in generators]).to(z)


def check_generators(solver: str, generators: Sequence[torch.Generator], n_slices: int) -> None:
    """`UsageError` unless there is one generator a slice."""
    if len(generators) != n_slices:
        raise UsageError(
            f"{solver}: there are {len(generators)} generators for {n_slices} slices; expected one a slice"
        )


def check_finite(solver: str, z: torch.Tensor, step: int, n_steps: int) -> None:
    """`PriorError` if the sampling diverged."""
    if not torch.isfinite(z).all():
        raise PriorError(f"{solver} diverged at step {step} of {n_steps}; is the prior's hu_range right?")
