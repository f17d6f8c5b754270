"""What no solver with a diffusion prior can go on with, said in one line."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ctresample.errors import PriorError, UsageError

LOOK_EVERY = 8
"""Steps, on a device."""


def check_generators(solver: str, generators: Sequence[torch.Generator], n_slices: int) -> None:
    """`UsageError` unless there is one generator a slice."""
    if len(generators) != n_slices:
        raise UsageError(
            f"{solver}: there are {len(generators)} generators for {n_slices} slices; expected one a slice"
        )


def check_finite(solver: str, z: torch.Tensor, step: int, n_steps: int) -> None:
    """`PriorError` if the sampling of ``z`` diverged, naming the step and the slices.

    A device is asked every few steps and after the last, for the host waits for its answer.
    """
    if z.device.type != "cpu" and step % LOOK_EVERY and step < n_steps or torch.isfinite(z).all():
        return
    bad = (~torch.isfinite(z).flatten(1).all(1)).nonzero().flatten().tolist()
    slices = ", ".join(str(k + 1) for k in bad)
    raise PriorError(
        f"{solver} diverged at step {step} of {n_steps} in slice {slices} of a batch of {len(z)}; is the prior's "
        "hu_range right, and is the measurement finite?"
    )
