"""Paths as users give them: text, or anything that `os.fspath` takes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ctresample.errors import UsageError

StrPath = str | os.PathLike[str]
"""What every public function takes where it wants a path; inside it goes on as the `Path` of `as_path`."""


def as_path(place: StrPath, name: str = "path") -> Path:
    """The path of a place; ``~`` is left as it is, as in ``open``.

    Args:
        place: text or path.
        name: the argument, named in errors.

    Raises:
        UsageError: neither text nor a path, or empty: that would be the present folder, which nobody meant.
    """
    if not isinstance(place, str | os.PathLike):
        raise UsageError(f"{name} is of type {type(place).__name__}; expected a path, as text or pathlib.Path")
    text = os.fspath(place)
    if not isinstance(text, str) or not text:
        raise UsageError(f"{name} is {text!r}; expected the path of a file or folder, as text")
    return Path(text)


def as_paths(places: StrPath | Iterable[StrPath], name: str = "paths") -> list[Path]:
    """The paths of several places, or of one that was given alone; errors as of `as_path`."""
    if isinstance(places, str | os.PathLike):
        return [as_path(places, name)]
    return [as_path(place, name) for place in places]
