"""Any variance-preserving noise schedule as the `DDIMScheduler` that a prior keeps."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DDIMScheduler

from ctresample.errors import PriorError

PREDICTIONS = ("epsilon", "v_prediction", "sample")
_NAMED = ("scaled_linear", "linear", "squaredcos_cap_v2")


def ddim_scheduler(betas: torch.Tensor, prediction_type: str, place: str) -> DDIMScheduler:
    """A scheduler of the same ``alphas_cumprod``: by the name of its formula where it has one, else by its betas.

    Args:
        betas: variance of the noise added at each step, ``(T,)``.
        prediction_type: what the denoiser predicts, one of `PREDICTIONS`.
        place: where they stand, for errors.

    Raises:
        PriorError: a kind of prediction or a schedule that a prior cannot use.
    """
    if prediction_type not in PREDICTIONS:
        raise PriorError(f"{place} predicts {prediction_type!r}; expected one of {', '.join(PREDICTIONS)}")
    if betas.ndim != 1 or not bool(((betas > 0) & (betas <= 1)).all()):
        raise PriorError(
            f"{place} has betas outside (0, 1]; expected the noise added at each step; is it the right file?"
        )
    alpha_bar = torch.cumprod(1 - betas.double(), 0)
    if prediction_type == "epsilon" and alpha_bar[-1] == 0:
        raise PriorError(
            f"{place} predicts epsilon and ends at alpha_bar = 0, where that says nothing of the image; expected a "
            f"v_prediction model with this schedule, or another schedule"
        )
    fixed: dict[str, Any] = {
        "num_train_timesteps": len(betas),
        "prediction_type": prediction_type,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }
    for name in _NAMED:
        made = DDIMScheduler(beta_schedule=name, beta_start=float(betas[0]), beta_end=float(betas[-1]), **fixed)
        if torch.allclose(made.alphas_cumprod.double(), alpha_bar, rtol=1e-5, atol=1e-9):
            return made
    return DDIMScheduler(trained_betas=betas.tolist(), **fixed)
