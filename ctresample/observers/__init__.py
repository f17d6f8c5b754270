"""Observers: how well a known signal can be told from its absence, in data and in images."""

from ctresample.observers.ideal import auc_of, ideal_detectability, misfit_score

__all__ = ["auc_of", "ideal_detectability", "misfit_score"]
