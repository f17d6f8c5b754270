"""Files and folders that are there whole or not at all, after a crash and on a full disk, too."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import secrets
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from ctresample.errors import OutputError, TakenError

EVERYTHING = frozenset({"*"})
"""For `whole_folder`: the folder is replaced, whatever it holds."""

RESULT_RECORD = "run.json"
"""What tells the folder of a result."""

_OF_A_RESULT = (RESULT_RECORD, "report.html", "deidentification.json", "dicom", "dicom-*", "*.nii.gz", "*.nrrd")
_overwrites: ContextVar[bool] = ContextVar("overwrites", default=False)

_HIDDEN, _UNFINISHED = ".ctresample-", ".partial"
_ADVICE = "choose a place with access and space"


@contextmanager
def overwriting(wanted: bool) -> Iterator[None]:
    """Whether files of any kind, and folders that hold a result and nothing else, may be replaced in the block."""
    token = _overwrites.set(wanted)
    try:
        yield
    finally:
        _overwrites.reset(token)


@contextmanager
def whole_file(path: Path, *, advice: str = _ADVICE, ending: str = _UNFINISHED) -> Iterator[Path]:
    """A name beside ``path`` to write to; when the block ends, that file is on the disk and becomes ``path``.

    An older ``path`` is there until then, and stays if the block fails; the unfinished file vanishes.

    Args:
        path: the file, in a folder that exists.
        advice: what the error proposes.
        ending: of the unfinished file's name, for libraries that go by it.

    Raises:
        OutputError: the file system refuses, in the block, too.
    """
    # Beside the target, for a rename is atomic only within one file system; and not by tempfile, which would leave
    # the result readable by its owner alone.
    unfinished = _free_name(path.parent, ending)
    try:
        with as_output_error(path, advice):
            yield unfinished
            _to_disk(unfinished)
            unfinished.replace(path)
            _to_disk(path.parent)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def write_file(path: Path, content: bytes | memoryview | str, *, advice: str = _ADVICE) -> None:
    """Write a `whole_file` at once; text as UTF-8, with its line ends as they are.

    Raises:
        OutputError: it cannot be written; an older one is left as it was.
    """
    if isinstance(content, str):
        try:
            content = content.encode()
        except UnicodeEncodeError as error:  # half a character, out of the name of a file
            raise OutputError(
                f"{path} cannot be written: its text is no Unicode ({error.reason}); rename the file that it names"
            ) from error
    with whole_file(path, advice=advice) as unfinished:
        unfinished.write_bytes(content)


@contextmanager
def whole_folder(path: Path, *, replaces: frozenset[str] = frozenset(), advice: str = _ADVICE) -> Iterator[Path]:
    """A temporary folder to fill; its content becomes ``path`` when the block ends, and vanishes when it fails.

    What is replaced stays until the new content is on the disk, and comes back if that cannot take its place.

    Args:
        path: missing or empty, or an earlier result (`overwriting`); missing parents are made.
        replaces: names of an earlier result. A folder that holds all of them is taken too: these are replaced, and
            whatever else lies there stays. `EVERYTHING`: the folder itself is replaced.
        advice: what the error proposes.

    Raises:
        OutputError: the place cannot be written, or holds something else.
    """
    path = path.absolute()
    # Inside a folder that exists, for that may be a mounted volume, which cannot be replaced.
    inside = None if replaces == EVERYTHING else _check_free(path, replaces)
    home = path.parent if inside is None else path
    fresh, aside = _free_name(home), _free_name(home)
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        with as_output_error(path, advice):
            fresh.mkdir(parents=True)
        yield fresh
        with as_output_error(path, advice):
            for entry in (*fresh.rglob("*"), fresh):
                _to_disk(entry)
            aside.mkdir()
            old = [path / name for name in inside] if inside is not None else [path]
            moves = [(place, aside / place.name) for place in old if os.path.lexists(place)]
            new = [(fresh, path)] if inside is None else [(one, path / one.name) for one in sorted(fresh.iterdir())]
            moves += new
            _move_all(moves)
            shutil.rmtree(aside, ignore_errors=True)
            _to_disk(home)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        with suppress(OSError):  # of a folder that holds something: the result, or an old one that could not go back
            if aside.exists():
                aside.rmdir()
            for parent in missing:
                parent.rmdir()


def remove_unfinished(folder: Path) -> None:
    """Clear what killed processes have left in a folder that this process alone works on."""
    for left in folder.glob(f"{_HIDDEN}*{_UNFINISHED}"):
        _remove(left)


def unfinished_folder(path: Path) -> Path:
    """A place beside ``path`` for what it is made of, the same in every process; `remove_unfinished` clears it."""
    return path.parent / f"{_HIDDEN}{path.name}{_UNFINISHED}"


def check_new_file(path: Path) -> None:
    """`OutputError` unless ``path`` is a new file in a folder that can be written, or one that may be replaced."""
    with as_output_error(path):
        refuse_existing(path)
        probe = _free_name(path.parent)
        probe.touch()
        probe.unlink()


def refuse_existing(path: Path) -> None:
    """`OutputError` if ``path`` is there and may not be replaced."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; expected the name of a file")
    if os.path.lexists(path) and not _overwrites.get():
        raise TakenError(f"{path} exists; delete it or choose another name")


def check_new_folder(path: Path) -> None:
    """`OutputError` unless ``path`` can be written and is missing, empty, or a result that may be replaced."""
    path = path.absolute()
    _check_free(path, ())
    with as_output_error(path):
        probe = _free_name(next(one for one in (path, *path.parents) if one.exists()))
        probe.mkdir()
        probe.rmdir()


@contextmanager
def as_output_error(
    path: Path, advice: str = _ADVICE, failures: tuple[type[Exception], ...] = (OSError,)
) -> Iterator[None]:
    """Turn the system's refusal to write into an `OutputError` that names the place.

    Args:
        path: the place.
        advice: what to do about it.
        failures: how a library says it.
    """
    try:
        yield
    except failures as error:
        reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), type(error).__name__)
        raise OutputError(f"{path} cannot be written ({reason}); {advice}") from error


def _check_free(path: Path, replaces: Collection[str]) -> Collection[str] | None:
    """Names in the folder to replace, None where there is no folder; `OutputError` if it holds what may not be."""
    with as_output_error(path):
        if not path.exists():
            return None
        if not path.is_dir():
            raise OutputError(f"{path} is a file; expected a folder; choose another place")
        found = {entry.name for entry in path.iterdir()}
    if not found or (replaces and found.issuperset(replaces)):
        return replaces
    if not _overwrites.get():
        raise TakenError(f"{path} is not empty; delete it or choose a new folder")
    others = sorted(name for name in found if not any(fnmatch(name, pattern) for pattern in _OF_A_RESULT))
    if RESULT_RECORD not in found or others:
        lacks = f"holds {others[0]}, which is no part of one" if others else f"has no {RESULT_RECORD}"
        raise OutputError(
            f"{path} {lacks}: only results of reconstruct are replaced; delete it yourself or choose a new folder"
        )
    return found


def _move_all(moves: Collection[tuple[Path, Path]]) -> None:
    """Rename one after the other; if one fails, none."""
    done = []
    try:
        for before, after in moves:
            before.rename(after)
            done.append((before, after))
    except BaseException:
        for before, after in reversed(done):
            with suppress(OSError):
                after.rename(before)
        raise


def _free_name(folder: Path, ending: str = _UNFINISHED) -> Path:
    """A name that nobody else uses; it says which process of which machine works there."""
    _remove_of_the_dead(folder)
    return folder / f"{_HIDDEN}{_machine()}-{os.getpid()}-{secrets.token_hex(4)}{ending}"


def _remove_of_the_dead(folder: Path) -> None:
    """Clear what processes of this machine have left in a folder that no longer run: it may hold patient data."""
    if os.name == "nt" or not folder.is_dir():  # there, asking for a process may end it
        return
    with suppress(OSError):
        for left in folder.glob(f"{_HIDDEN}{_machine()}-*"):
            process = left.name.removeprefix(f"{_HIDDEN}{_machine()}-").partition("-")[0]
            if process.isdecimal() and not _runs(int(process)):
                _remove(left)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@cache
def _machine() -> str:
    """Eight hex digits: others may work in the same folder, and have processes of the same number."""
    return hashlib.sha256(f"{platform.node()} {uuid.getnode()}".encode()).hexdigest()[:8]


def _remove(left: Path) -> None:
    if left.is_dir() and not left.is_symlink():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Have the system write what it may hold back, so that a power failure leaves no empty file under a final name."""
    is_folder = path.is_dir()
    if path.is_symlink() or (is_folder and os.name == "nt"):  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (is_folder and error.errno in (errno.EINVAL, errno.ENOTSUP)):  # some network file systems know no such
            raise
    finally:
        os.close(descriptor)
