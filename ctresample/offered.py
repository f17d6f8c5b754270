"""A setting that the command line offers: said once, beside the setting itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Offered:
    """A mark in the annotation of a dataclass's field: ``blur_mm: Annotated[float, Offered("Width ...", "MM")] = 0``.

    Fields without it are settings for Python alone.

    Attributes:
        help: one sentence, or two.
        metavar: what stands for the value in the help; by default what its type says.
        name: of the option, without dashes; by default that of the field.
        group: heading that it stands under in the help.
        minimum: least value.
        choices: names of which the value must be one, where its type does not list them.
        in_degrees: the field is in radians, the option in degrees.
    """

    help: str
    metavar: str | None = None
    name: str = ""
    group: str | None = None
    minimum: float | None = None
    choices: Collection[str] = ()
    in_degrees: bool = False


SCANNER, DOSE, RESULTS = "Scanner", "Dose", "Results"
METHOD, READING, RARE = "Finer points of methods", "CT series that are not even stacks", "Rarely needed"
"""Headings."""
