"""The steps of the schedule against diffusers' own DDIM sampler."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import PriorError, UsageError
from ctresample.solvers.diffusion.schedule import steps_of, timesteps

COUNTS = [20, 50, 200, 333, 500, 1000]


def scheduler(**changes) -> DDIMScheduler:
    kind = {"beta_schedule": "scaled_linear", "beta_start": 0.0015, "beta_end": 0.0195, "clip_sample": False}
    return DDIMScheduler(**(kind | {"steps_offset": 1, "set_alpha_to_one": False} | changes))


@pytest.mark.parametrize("n_steps", COUNTS)
@pytest.mark.parametrize("offset", [0, 1])
def test_leading_steps_are_those_of_diffusers(n_steps, offset):
    theirs = scheduler(steps_offset=offset)
    assert theirs.config["timestep_spacing"] == "leading"
    theirs.set_timesteps(n_steps)
    expected = theirs.timesteps.tolist()
    if offset and n_steps == 1000:
        assert expected[0] == 1000  # past the end of the schedule: diffusers could not take this one either
        expected = expected[1:]
    assert timesteps(theirs, n_steps) == expected


@pytest.mark.parametrize("n_steps", [7, *COUNTS])
@pytest.mark.parametrize("spacing", ["trailing", "linspace"])
def test_other_spacings_are_those_of_diffusers(n_steps, spacing):
    theirs = scheduler(timestep_spacing=spacing)
    theirs.set_timesteps(n_steps)
    assert timesteps(theirs, n_steps) == theirs.timesteps.tolist()


@pytest.mark.parametrize("n_steps", COUNTS)
@pytest.mark.parametrize("changes", [{}, {"steps_offset": 0}, {"set_alpha_to_one": True}], ids=str)
def test_levels_are_those_that_diffusers_steps_between(n_steps, changes):
    """What `step` makes of no noise but a known prediction tells the level it goes to: sqrt(a_p) z_0 + ... epsilon."""
    theirs = scheduler(**changes)
    theirs.set_timesteps(n_steps)
    steps = steps_of(theirs, n_steps)
    assert len(steps) == len([t for t in theirs.timesteps if t < 1000])
    for step in steps[:: max(1, len(steps) // 20)] + steps[-3:]:
        z, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        out = theirs.step(zero, torch.tensor(step.t), z)  # z is sqrt(a) z_0 where there is no noise
        assert float(out.pred_original_sample) ** -2 == pytest.approx(step.alpha_bar, rel=1e-6)
        found = float(out.prev_sample / out.pred_original_sample) ** 2
        assert found == pytest.approx(step.alpha_bar_previous, rel=1e-6)


@pytest.mark.parametrize("one", [True, False])
def test_the_last_level_is_the_schedulers_own(one):
    theirs = scheduler(set_alpha_to_one=one)
    last = steps_of(theirs, 50)[-1]
    assert last.alpha_bar_previous == (1.0 if one else float(theirs.alphas_cumprod[0]))


@given(n_steps=st.integers(1, 1000), level=st.floats(1e-9, 1))
def test_steps_of_any_number_span_the_schedule_down_from_the_start(n_steps, level):
    theirs = scheduler()
    every = timesteps(theirs, n_steps)
    assert len(every) == min(n_steps, 999)
    if n_steps > 1:
        gaps = -np.diff(every)
        assert gaps.min() > 0
        assert gaps.max() - gaps.min() <= 1
        assert every[0] + gaps.max() >= 999
    assert every[-1] == 1
    steps = steps_of(theirs, n_steps, level)
    assert [step.t for step in steps] == ([t for t in every if t <= level * 999] or [1])
    for now, following in zip(steps, steps[1:], strict=False):
        assert now.alpha_bar_previous == following.alpha_bar > now.alpha_bar
    assert all(step.level == step.t / 999 for step in steps)


def test_more_steps_than_the_schedule_has():
    with pytest.raises(UsageError, match="n_steps is 1001; the prior's schedule has 1000 steps"):
        timesteps(scheduler(), 1001)


def test_a_spacing_unknown():
    theirs = scheduler(timestep_spacing="sideways")
    with pytest.raises(PriorError, match="timestep_spacing is 'sideways'; expected leading, trailing or linspace"):
        timesteps(theirs, 10)


def test_steps_to_a_stop_level_are_geometric():
    steps = steps_of(scheduler(), 4, 0.08, 0.01)
    assert [step.t for step in steps] == [80, 40, 20, 10]
    alpha_bar = scheduler().alphas_cumprod
    assert [step.alpha_bar for step in steps] == [float(alpha_bar[step.t]) for step in steps]
    assert [step.alpha_bar_previous for step in steps] == [float(alpha_bar[t]) for t in (40, 20, 10, 0)]


@given(st.integers(1, 200), st.floats(1e-3, 1), st.floats(1e-3, 1))
def test_geometric_steps_fall_and_stay_within_their_levels(n_steps, a, b):
    start, stop = max(a, b), min(a, b)
    steps = [step.t for step in steps_of(scheduler(), n_steps, start, stop)]
    assert steps == sorted(steps, reverse=True)
    assert len(steps) == n_steps
    assert steps[0] == round(start * 999)
    assert steps[-1] >= round(stop * 999)
