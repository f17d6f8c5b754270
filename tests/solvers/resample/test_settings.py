"""What settings of ReSample are refused, and the presets."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import UsageError
from ctresample.solvers.resample import PRESETS, ReSampleSettings
from ctresample.solvers.resample.defects import Defect


@pytest.mark.parametrize(
    "changes",
    [
        {"n_steps": 0},
        {"skip": 0},
        {"chains": 0},
        {"cg_iterations": 0},
        {"newton_iterations": 0},
        {"inner_steps": -1},
        {"latent_level": 0.8},
        {"latent_level": -0.1},
        {"pixel_level": 1.1},
        {"start_level": 0.0},
        {"start_level": 1.5},
        {"stop_level": 1.1},
        {"stop_level": -0.1},
        {"averaged_steps": -1},
        {"residual_target": 0.0},
        {"spread_scale": 0.0},
        {"spread_scale": float("nan")},
        {"spread_power": -1.0},
        {"variance_scale": -1.0},
        {"variance_scale": float("inf")},
        {"gradient_scale": -0.1},
        {"final_spread_hu": 0.0},
        {"final_iterations": 0},
        {"pixel_optimiser": "sgd"},
        {"latent_optimiser": "cg"},
        {"encoding": "none"},
        {"resampling": "none"},
        {"variance": "mine"},
        {"final": "tv"},
        {"warm_start": "fbp"},
        {"defects": ("tweedie",)},
    ],
    ids=str,
)
def test_settings_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(UsageError, match=f"resample settings: {name} is .*; expected ") as error:
        replace(ReSampleSettings(n_steps=10), **changes)
    assert "\n" not in str(error.value)


def test_a_warm_start_from_pure_noise():
    with pytest.raises(UsageError, match="a warm start needs a start_level below 1"):
        ReSampleSettings(n_steps=10, warm_start="tv")


@given(i=st.integers(0, 999), level=st.floats(0, 1), pixel=st.floats(0, 1), latent=st.floats(0, 1), skip=st.integers(1))
def test_a_step_has_one_stage_at_most_and_the_cleaner_ones_are_latent(i, level, pixel, latent, skip):
    latent, pixel = sorted((latent, pixel))
    settings = ReSampleSettings(n_steps=10, pixel_level=pixel, latent_level=latent, skip=skip)
    stage = settings.stage(i, level)
    if i % skip:
        assert stage is None
    elif level <= latent:
        assert stage == "latent"
    elif level <= pixel:
        assert stage == "pixel"
    else:
        assert stage is None


def test_presets():
    assert list(PRESETS) == ["fast", "draft", "quality", "paper", "released_code"]
    paper, released = PRESETS["paper"], PRESETS["released_code"]
    assert paper.defects == ()
    assert set(released.defects) == set(get_args(Defect))
    changed = {name for name, value in asdict(released).items() if value != asdict(paper)[name]}
    assert changed == {"defects", "variance", "gradient_scale"}
    assert PRESETS["fast"].n_steps < paper.n_steps
    assert PRESETS["fast"].pixel_optimiser == "dual"
    assert (paper.pixel_optimiser, paper.latent_optimiser, paper.encoding) == ("adamw", "adamw", "plain")
