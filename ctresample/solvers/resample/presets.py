"""The named presets of ReSample."""

from __future__ import annotations

from ctresample.solvers.resample.settings import ReSampleSettings

PRESETS = {
    "fast": ReSampleSettings(
        n_steps=320,
        start_level=0.1,
        warm_start="tv",
        pixel_level=1.0,
        latent_level=0.0,
        skip=1,
        inner_steps=0,
        optimiser="cg",
        spread_scale=5.0,
        variance_scale=4000.0,
        final="pixel",
    ),
    "paper": ReSampleSettings(n_steps=500),
}
"""``fast`` is the default, its values chosen on validation slices at 25 views and 1e5 photons; ``paper`` is the
published recipe with Tweedie's formula, the step indices and the stopping at the noise level done right."""
