"""How well decision variables tell two kinds of images apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
"""Bootstrap samples."""

Scores = NDArray[np.floating]


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve with the ends of its 95 % interval by bootstrap."""

    area: float
    low: float
    high: float


def auc(present: Scores, absent: Scores) -> float:
    """Area under the ROC curve: the share of pairs that are in order, ties counting half (Mann and Whitney).

    Example:
        >>> auc(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        0.875
    """
    from scipy.stats import rankdata  # here, for it takes long to import

    n, m = len(present), len(absent)
    ranks = rankdata(np.concatenate([present, absent]))[:n]
    return float((ranks.sum() - n * (n + 1) / 2) / (n * m))


def auc_with_interval(
    present: Scores,
    absent: Scores,
    generator: np.random.Generator,
    *,
    clusters: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None,
) -> Auc:
    """The area and its interval: images, or whole clusters of them such as patients, are drawn with replacement.

    Args:
        present: decision variables of images with the signal.
        absent: without.
        generator: source of the bootstrap's randomness.
        clusters: a number an image with the signal, and without; the same number for images of one patient.
    """
    owners = clusters or (np.arange(len(present)), len(present) + np.arange(len(absent)))
    names, places = np.unique(np.concatenate(owners), return_inverse=True)
    mine, others = np.split(np.eye(len(names))[places], [len(present)])
    above = np.sign(np.subtract.outer(np.asarray(present, np.float64), absent)) / 2 + 0.5
    # of each pair of clusters: pairs of images in order, and pairs
    ordered, pairs = mine.T @ above @ others, np.outer(mine.sum(0), others.sum(0))
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS).astype(np.float64)
    n_pairs = np.sum(drawn @ pairs * drawn, axis=1)
    areas = np.sum(drawn @ ordered * drawn, axis=1)[n_pairs > 0] / n_pairs[n_pairs > 0]
    low, high = np.quantile(areas, (0.025, 0.975)) if len(names) > 1 else (math.nan, math.nan)
    return Auc(auc(present, absent), float(low), float(high))
