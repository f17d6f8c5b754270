"""Names that users type: in any case, with the nearest one named where there is none."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Sequence

import typer

from ctresample.errors import UsageError


def known(option: str, given: str, names: Collection[str]) -> str:
    """The name that was meant, in whatever case it was typed.

    Raises:
        UsageError: there is none; says which it may have been.
    """
    by_lower = {name.lower(): name for name in names}
    if given.lower() in by_lower:
        return by_lower[given.lower()]
    near = difflib.get_close_matches(given.lower(), by_lower, 1)
    hint = f"did you mean {by_lower[near[0]]}? Else " if near else "expected "
    raise UsageError(f"{option} is {given!r}; {hint}one of {', '.join(names)}")


def all_known(option: str, given: Sequence[str], names: Collection[str]) -> list[str]:
    """The same of a list, each once."""
    return list(dict.fromkeys(known(option, one, names) for one in given))


def one_of(names: Collection[str]) -> Callable[[typer.CallbackParam, str | None], str | None]:
    """A check of an option's value, if it is given. Typer's own, of a `Literal`, names no nearest."""

    def check(parameter: typer.CallbackParam, value: str | None) -> str | None:
        try:
            return None if value is None else known(parameter.opts[0], value, names)
        except UsageError as error:
            raise typer.BadParameter(str(error)) from None

    return check


def completed(names: Collection[str]) -> Callable[[str], list[str]]:
    """What the tab key offers."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete.lower())]
