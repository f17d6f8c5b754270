"""The result of a training: a folder that is there as a whole, or as it was before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from ctresample.files import EVERYTHING, as_output_error, whole_folder

_ADVICE = "the run's checkpoint is intact: make room and repeat the command"


def save_whole(folder: Path, save: Callable[[Path], None]) -> None:
    """Let ``save`` write a folder, and put it in the place of ``folder`` when it is complete.

    Raises:
        OutputError: it cannot be written; what was there before is still there.
    """
    with (
        whole_folder(folder, replaces=EVERYTHING, advice=_ADVICE) as part,
        as_output_error(folder, _ADVICE, (OSError, SafetensorError)),
    ):
        save(part)
