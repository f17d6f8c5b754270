"""Priors made of diffusion models that others have trained."""

from ctresample.pipelines.prior_import.importing import import_prior

__all__ = ["import_prior"]
