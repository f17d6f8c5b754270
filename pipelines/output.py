"""Output places that are checked before any computing and hold a whole result or nothing."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ctresample.errors import OutputError


@contextmanager
def new_folder(path: Path, *, replaces: frozenset[str] = frozenset()) -> Iterator[Path]:
    """A temporary folder to fill; its content becomes ``path`` when the block ends, and vanishes when it fails.

    Args:
        path: missing or empty; missing parents are made.
        replaces: names of an earlier result. A folder that holds all of them is taken too: these are replaced, and
            whatever else lies there stays.

    Raises:
        OutputError: the place cannot be written, or holds something else.
    """
    path = path.absolute()
    exists = _check_free(path, replaces)
    # Inside a folder that exists, for that may be a mounted volume, which cannot be replaced.
    name = f".ctresample-{secrets.token_hex(4)}.partial"
    partial = path / name if exists else path.with_name(name)
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        with as_output_error(path):
            partial.mkdir(parents=True)
        yield partial
        with as_output_error(path):
            if exists:
                _replace_content(path, partial, replaces)
            else:
                partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # of a folder that holds something: the result
            for parent in missing:
                parent.rmdir()


def check_new_file(path: Path) -> None:
    """`OutputError` unless ``path`` is a new file in a folder that can be written."""
    probe = path.with_name(f".ctresample-{secrets.token_hex(4)}.partial")
    with as_output_error(path):
        if path.exists():
            raise OutputError(f"{path} exists; delete it or choose another name")
        probe.touch()
        probe.unlink()


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text so that a reader, or a crash, finds the old file or the new one, never half.

    Args:
        path: the file, in a folder that exists.
        text: its whole content; line ends are written as they are.

    Raises:
        OutputError: the file cannot be written; an older one is left as it was.
    """
    # Beside the target, for a rename is atomic only within one file system; and not by tempfile,
    # which would leave the result readable by its owner alone.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    except (OSError, UnicodeEncodeError) as error:
        raise OutputError(f"cannot write {path}: {error}; choose a file in a folder that exists") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _check_free(path: Path, replaces: frozenset[str]) -> bool:
    """Whether the folder exists; `OutputError` if it holds what may not be replaced."""
    with as_output_error(path):
        if not path.exists():
            return False
        if not path.is_dir():
            raise OutputError(f"{path} is a file; expected a folder; choose another place")
        found = {entry.name for entry in path.iterdir()}
    if found and not (replaces and replaces <= found):
        raise OutputError(f"{path} is not empty; delete it or choose a new folder")
    return True


def _replace_content(folder: Path, new: Path, old: frozenset[str]) -> None:
    for name in old:
        place = folder / name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    for entry in sorted(new.iterdir()):
        entry.rename(folder / entry.name)


@contextmanager
def as_output_error(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into an `OutputError` that names the place."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}); choose a place with access and space"
        ) from error
