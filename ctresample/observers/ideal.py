"""The ideal observer of a known signal in the sinogram: no image can show more than its data tell.

For a signal and a background that are exactly known and normal noise of known variance, the likelihood ratio is the
matched filter of the whitened data, and its detectability is the signal's whitened norm, in closed form (Barrett and
Myers, "Foundations of Image Science", 2004, section 13.2.8). Whatever is computed from the data, an image by any method
included, has no better observer: the data processing inequality.
"""

from __future__ import annotations

import math

import torch

from ctresample.consistency import inner_product, safe_ratio
from ctresample.operators import LinearOperator


def ideal_detectability(signal: torch.Tensor, A: LinearOperator) -> torch.Tensor:
    """``d' = |A s|`` with the whitened ``A``, ``(B,)``.

    Example:
        >>> from ctresample import ImageGrid, ParallelBeam, SparseProjector
        >>> grid = ImageGrid((8, 8), pixel_size_mm=1.0)
        >>> scan = ParallelBeam([0.0], n_detectors=8, detector_pitch_mm=1.0)
        >>> signal = torch.zeros(1, 1, 8, 8)
        >>> signal[..., 2:6, 4] = 0.5  # 4 mm of 0.5 / mm, seen by one ray with noise 0.1
        >>> float(ideal_detectability(signal, (1 / 0.1) * SparseProjector(scan, grid)))
        20.0

    Args:
        signal: ``(B, 1, *A.domain_shape)``, attenuation that is there or not.
        A: whitened operator.
    """
    seen = A(signal)
    return inner_product(seen, seen).sqrt().flatten()


def misfit_score(x: torch.Tensor, y: torch.Tensor, signal: torch.Tensor, A: LinearOperator) -> torch.Tensor:
    """How many standard deviations of a signal the data still ask for beyond an image, ``(B,)``.

    The matched filter of the residual, ``<A s, y - A x> / |A s|``. Of the true image it is normal with mean 0 and
    deviation 1; where an image lacks the signal and makes up for it nowhere else, its mean is `ideal_detectability`.

    Args:
        x: ``(B, 1, *A.domain_shape)``, images.
        y: whitened measurement ``(B, 1, *A.range_shape)``.
        signal: as of `ideal_detectability`.
        A: whitened operator.
    """
    seen = A(signal)
    return safe_ratio(inner_product(seen, y - A(x)), inner_product(seen, seen).sqrt()).flatten()


def auc_of(detectability: float) -> float:
    """Area under the ROC curve of a normal decision variable: ``Phi(d' / sqrt 2)``.

    Example:
        >>> [round(auc_of(d), 3) for d in (0, 1, 2)]
        [0.5, 0.76, 0.921]
    """
    return 0.5 * math.erfc(-detectability / 2)
