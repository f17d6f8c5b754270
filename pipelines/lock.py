"""One process at a time on a folder of results."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctresample.errors import OutputError

LOCK_NAME = "work.lock"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while the block runs; the system lets go of it however the process ends.

    Raises:
        OutputError: another process holds it, or the folder cannot be written.
    """
    try:
        file = (folder / LOCK_NAME).open("a")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}); choose a folder with access") from error
    with file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(
                f"{folder} is being worked on by another process; wait for its end, or choose another folder"
            ) from error
        yield
