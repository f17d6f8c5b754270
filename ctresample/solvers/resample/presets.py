"""The named presets of ReSample."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from ctresample.solvers.resample.defects import Defect
from ctresample.solvers.resample.settings import ReSampleSettings

_FAST = ReSampleSettings(
    n_steps=32,
    start_level=0.06,
    stop_level=0.004,
    warm_start="itnet",
    pixel_level=1.0,
    latent_level=0.0,
    skip=1,
    inner_steps=0,
    pixel_optimiser="dual",
    cg_iterations=5,
    spread_scale=5.0,
    resampling="encoding",
    moving_frame=True,
    averaged_steps=5,
    coupled=True,
    final="pixel",
    residual_target=0.95,
)
_DRAFT = replace(
    _FAST,
    n_steps=8,
    start_level=0.04,
    stop_level=0.004,
    warm_start="coarse-tv",
    conditioned=True,
    rounds=2,
    # an image that agrees with many views is nearer to the truth than one that a noise level stands for
    spread="misfit",
    spread_scale=1.0,
    averaged_steps=3,
)
_QUALITY = replace(_FAST, n_steps=48, averaged_steps=6, chains=4)
_PAPER = ReSampleSettings(n_steps=500)
_RELEASED_CODE = replace(_PAPER, variance="released", gradient_scale=0.5, defects=get_args(Defect))

PRESETS = {"fast": _FAST, "draft": _DRAFT, "quality": _QUALITY, "paper": _PAPER, "released_code": _RELEASED_CODE}
"""``fast`` is the default, its values chosen on validation slices at 25 views and 1e5 photons; ``quality`` has more
steps and is the mean of several chains. ``draft`` is shown an image that agrees with the data at each of its few steps,
and so needs a prior that is conditioned on the scan. ``paper`` is the published recipe with Tweedie's formula, the step
indices and the stopping at the noise level done right; ``released_code`` has those defects, and the variance and
gradient step that the authors' code has and the paper does not."""
