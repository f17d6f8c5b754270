"""Observers and task measures: how well a known signal can be told from its absence, in data and in images."""

from ctresample.observers.channels import hotelling_detectability, hotelling_scores, laguerre_gauss
from ctresample.observers.ideal import auc_of, ideal_detectability, misfit_score
from ctresample.observers.matched import matched_detectability, matched_scores
from ctresample.observers.roc import Auc, auc, auc_with_interval
from ctresample.observers.task import (
    LEAST_RADIUS_PX,
    Curve,
    average_frequency,
    noise_power,
    task_detectability,
    task_transfer,
)

__all__ = [
    "LEAST_RADIUS_PX",
    "Auc",
    "Curve",
    "auc",
    "auc_of",
    "auc_with_interval",
    "average_frequency",
    "hotelling_detectability",
    "hotelling_scores",
    "ideal_detectability",
    "laguerre_gauss",
    "matched_detectability",
    "matched_scores",
    "misfit_score",
    "noise_power",
    "task_detectability",
    "task_transfer",
]
