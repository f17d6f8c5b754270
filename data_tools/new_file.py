"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ctresample.errors import OutputError


def write_new_file(path: Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all, through a part file beside it.

    Raises:
        OutputError: it cannot be written; nothing is left of it.
    """
    unfinished = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with unfinished.open("xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write {path} ({error.strerror}); choose a folder that exists and has space"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
