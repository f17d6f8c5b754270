"""Options made of settings: the verbs that scan offer the same, and what is given arrives in the settings."""

import math
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from ctresample.cli import app
from ctresample.cli.from_settings import Without, with_settings
from ctresample.offered import Offered

OWN = {"views", "geometry", "photons"}  # of which the benchmark takes lists


@dataclass(frozen=True)
class Inner:
    width_mm: Annotated[float, Offered("Width.", "MM", group="Inner")] = 1.0
    hidden: int = 7


@dataclass(frozen=True, kw_only=True)
class Settings:
    n: Annotated[int, Offered("How many.", name="views", minimum=1)]
    arc_rad: Annotated[float | str | None, Offered("Arc.", name="arc-deg", in_degrees=True)] = None
    kinds: Annotated[tuple[str, ...], Offered("Kinds.")] = ("a",)
    name: Annotated[str, Offered("One.", choices=("x", "y"))] = "x"
    whole: Annotated[bool, Offered("All of it.")] = False
    inner: Inner = Inner()


def run(verb, *words):
    program = typer.Typer()
    program.command()(with_settings(verb))
    return CliRunner().invoke(program, [str(word) for word in words])


def test_values_arrive_where_they_belong():
    seen = []

    def verb(place: str, settings: Settings) -> None:
        seen.append((place, settings))

    words = ("--views", 3, "--arc-deg", 90, "--kinds", "b,c", "--name", "y", "--whole", "--width-mm", 2.5)
    done = run(verb, "here", *words)
    assert done.exit_code == 0, done.output
    inner = Inner(width_mm=2.5)
    assert seen == [("here", Settings(n=3, arc_rad=math.pi / 2, kinds=("b", "c"), name="y", whole=True, inner=inner))]


def test_a_default_gives_what_is_not_said():
    seen = []
    default = Settings(n=5, inner=Inner(3.0, hidden=9))

    def verb(settings: Annotated[Settings, Without(frozenset({"kinds"}))] = default) -> None:
        seen.append(settings)

    assert run(verb, "--name", "y").exit_code == 0
    assert seen == [Settings(n=5, name="y", inner=Inner(3.0, hidden=9))]
    assert run(verb, "--kinds", "b").exit_code == 2
    assert "hidden" not in run(verb, "--help").output


@pytest.mark.parametrize("words", [(), ("--views", 0), ("--views", 3, "--name", "z"), ("--views", "many")])
def test_wrong_usage(words):
    def verb(settings: Settings) -> None:
        raise AssertionError

    assert run(verb, *words).exit_code == 2


def options_of(verb):
    commands = {command.name: command for command in app.registered_commands}
    parameters = commands[verb].callback.__annotations__
    return set(parameters)


def test_every_verb_that_scans_offers_the_same():
    simulate, batch, benchmark = map(options_of, ("simulate", "batch", "benchmark"))
    scanner = {"arc_deg", "detector_offset_mm", "blur_mm", "crosstalk", "bow_tie", "electronic_noise", "size"} | OWN
    assert scanner <= simulate & batch & benchmark
    assert simulate - batch <= {"dicom", "series", "projections"}
    reconstruct = options_of("reconstruct")
    assert reconstruct - batch <= {
        "scan",
        "against",
        "pixel_size",
        "series",
        "rebin",
        "z_range",
        "slice_step",
        "resume",
    }
