"""The result of a training: a folder that is there as a whole, or as it was before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from ctresample.errors import OutputError


def save_whole(folder: Path, save: Callable[[Path], None]) -> None:
    """Let ``save`` write a folder, and put it in the place of ``folder`` when it is complete.

    Raises:
        OutputError: it cannot be written; what was there before is still there.
    """
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)  # what a kill left
        save(part)
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise OutputError(
            f"cannot write {folder} ({reason}); the run's checkpoint is intact: make room and repeat the command"
        ) from error
