"""What a denoiser is trained to predict, and how much each noise level counts."""

from __future__ import annotations

import torch

from ctresample.choices import Prediction


def noised(z_0: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """``sqrt(alpha_bar) z_0 + sqrt(1 - alpha_bar) noise`` of latents ``(B, C, h, w)``, each at its level ``(B,)``."""
    a, b = alpha_bar.sqrt().view(-1, 1, 1, 1), (1 - alpha_bar).sqrt().view(-1, 1, 1, 1)
    return a * z_0 + b * noise


def prediction_target(
    prediction: Prediction, z_0: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor
) -> torch.Tensor:
    """What the network should say of ``sqrt(alpha_bar) z_0 + sqrt(1 - alpha_bar) noise``.

    Args:
        prediction: the noise (Ho et al., NeurIPS 2020), the velocity (Salimans and Ho, ICLR 2022) or the clean latents.
        z_0: clean latents ``(B, C, h, w)``.
        noise: of the same shape.
        alpha_bar: ``(B,)``.
    """
    if prediction == "epsilon":
        return noise
    if prediction == "sample":
        return z_0
    a, b = alpha_bar.sqrt().view(-1, 1, 1, 1), (1 - alpha_bar).sqrt().view(-1, 1, 1, 1)
    return a * noise - b * z_0


def min_snr_weight(prediction: Prediction, alpha_bar: torch.Tensor, gamma: float | None) -> torch.Tensor:
    """Weight ``(B,)`` of the squared error of a prediction (min-SNR-gamma; Hang et al., ICCV 2023, section 3.4).

    It stands for the weight ``min(SNR, gamma)`` of the error of the clean latents, with ``SNR = alpha_bar /
    (1 - alpha_bar)``. A unit error of the noise is one of ``1 / sqrt(SNR)`` of the latents, and a unit error of the
    velocity one of ``1 / sqrt(SNR + 1)``.

    Args:
        prediction: what the network predicts.
        alpha_bar: ``(B,)``.
        gamma: the largest weight of a latent error; None for no weighting: all ones.
    """
    if gamma is None:
        return torch.ones_like(alpha_bar)
    snr = alpha_bar / (1 - alpha_bar)
    per_unit = {"epsilon": snr, "v_prediction": snr + 1, "sample": torch.ones_like(snr)}[prediction]
    return snr.clamp(max=gamma) / per_unit
