"""The channelised Hotelling observer: a linear one that sees images through a few round channels, as people do.

Laguerre-Gauss channels: Gallas and Barrett, "Validating the use of channels to estimate the ideal linear observer",
J. Opt. Soc. Am. A 20(9), 2003, which are efficient for round signals at a known place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError

CHANNELS = 10
"""Enough for round signals in correlated noise; more need more images to be trained on."""

Images = NDArray[np.floating]


def laguerre_gauss(shape: tuple[int, int], *, width_px: float, count: int = CHANNELS) -> NDArray[np.float64]:
    """Channels around the middle of an image, ``[channel, y, x]``, orthonormal where the image is wide enough.

    Args:
        shape: of the image.
        width_px: ``a`` of ``sqrt(2) / a * exp(-pi r^2 / a^2) L_k(2 pi r^2 / a^2)``: about the signal's diameter.
        count: of the channels.
    """
    from scipy.special import eval_laguerre  # here, for it takes long to import

    if not (width_px > 0 and count >= 1):
        raise UsageError(f"channels of width {width_px} and number {count}; expected a width above 0, and 1 or more")
    y, x = (np.arange(n) - (n - 1) / 2 for n in shape)
    area = 2 * np.pi * (y[:, None] ** 2 + x**2) / width_px**2
    return np.stack([np.sqrt(2) / width_px * np.exp(-area / 2) * eval_laguerre(k, area) for k in range(count)])


def hotelling_scores(
    present: Images, absent: Images, channels: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Decision variables of images with a signal and of images without, ``(n,)`` each.

    Each half of the images is judged by the template of the other half, so that none is judged by what it taught: of
    few images the observer comes out too poor, never too good.

    Args:
        present: ``[image, y, x]`` with the signal in the middle.
        absent: without; as many, or other.
        channels: of `laguerre_gauss`, or others.

    Raises:
        UsageError: too few images for so many channels.
    """
    seen = [np.tensordot(np.asarray(one, np.float64), channels, axes=((1, 2), (1, 2))) for one in (present, absent)]
    least = 2 * (len(channels) + 2)
    for what, one in zip(("with the signal", "without"), seen, strict=True):
        if len(one) < least:
            raise UsageError(f"{len(one)} images {what}; {len(channels)} channels need {least} or more of each kind")
    scores = [np.empty(len(one)) for one in seen]
    for half in (0, 1):
        taught = [one[1 - half :: 2] for one in seen]
        covariance = sum(np.cov(one, rowvar=False).reshape(len(channels), -1) for one in taught) / 2
        template = np.linalg.solve(covariance, taught[0].mean(0) - taught[1].mean(0))
        for score, one in zip(scores, seen, strict=True):
            score[half::2] = one[half::2] @ template
    return scores[0], scores[1]


def hotelling_detectability(signal: Images, covariance: NDArray[np.floating], channels: NDArray[np.floating]) -> float:
    """``d'`` of the observer with nothing left to learn: ``d'^2 = (U s)^T (U K U^T)^-1 (U s)``.

    Args:
        signal: mean difference ``[y, x]``.
        covariance: of the pixels, ``[pixel, pixel]``.
        channels: ``[channel, y, x]``.
    """
    U = channels.reshape(len(channels), -1)
    seen = U @ np.asarray(signal, np.float64).ravel()
    return float(np.sqrt(seen @ np.linalg.solve(U @ covariance @ U.T, seen)))
