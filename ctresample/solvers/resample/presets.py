"""The named presets of ReSample."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from ctresample.solvers.resample.defects import Defect
from ctresample.solvers.resample.settings import ReSampleSettings

_FAST = ReSampleSettings(
    n_steps=320,
    start_level=0.1,
    warm_start="tv",
    pixel_level=1.0,
    latent_level=0.0,
    skip=1,
    inner_steps=0,
    pixel_optimiser="cg",
    encoding="corrected",
    spread_scale=5.0,
    variance_scale=4000.0,
    final="pixel",
)
_PAPER = ReSampleSettings(n_steps=500)
_RELEASED_CODE = replace(_PAPER, variance="released", gradient_scale=0.5, defects=get_args(Defect))

PRESETS = {"fast": _FAST, "paper": _PAPER, "released_code": _RELEASED_CODE}
"""``fast`` is the default, its values chosen on validation slices at 25 views and 1e5 photons; ``paper`` is the
published recipe with Tweedie's formula, the step indices and the stopping at the noise level done right;
``released_code`` has those defects, and the variance and gradient step that the authors' code has and the paper does
not."""
