"""The table of methods says what is there."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest

from ctresample.errors import UsageError
from ctresample.pipelines.reconstruction import solve
from ctresample.pipelines.reconstruction.methods import METHODS, method_named

EVERY = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@EVERY
def test_solver_is_the_function_in_the_file_of_its_name(method):
    solver = method.load_solver()
    assert solver.__name__ == method.name.replace("-", "_")
    assert solver.__module__.startswith(f"ctresample.solvers.{solver.__name__}")
    assert callable(getattr(solve, method.way))


@EVERY
def test_settings_cannot_change(method):
    for preset in method.presets or ("",):
        settings = method.load_settings(preset)
        assert (settings is not None) == method.has_settings
        if settings is not None:
            assert is_dataclass(settings)
            with pytest.raises(AttributeError):
                setattr(settings, fields(settings)[0].name, 1)


@EVERY
def test_titles_are_one_line_and_cost_is_known(method):
    assert 10 < len(method.title) < 100
    assert "\n" not in method.title
    assert all(method.cost_of(preset) > 0 for preset in method.presets or ("",))


def test_learned_methods_have_settings():
    assert all(method.has_settings for method in METHODS.values() if method.needs and method.zero_shot)


def test_presets_are_those_of_the_solver():
    from ctresample.solvers.resample import PRESETS

    assert set(METHODS["resample"].presets) == set(PRESETS)


def test_unknown_names():
    with pytest.raises(UsageError, match="method is 'art'; expected one of resample, fbp"):
        method_named("art")
    with pytest.raises(UsageError, match="preset is 'slow'; expected one of fast, draft, quality, paper"):
        METHODS["resample"].load_settings("slow")
