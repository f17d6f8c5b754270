"""Checkpoints that survive a kill, a full disk and the wrong folder."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from ctresample.errors import UsageError
from ctresample.files import as_output_error, remove_unfinished, whole_file

CHECKPOINT = "checkpoint.pt"


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` whole or not at all: the previous checkpoint stays until the new one is on the disk.

    Raises:
        OutputError: it cannot be written; the previous checkpoint is intact.
    """
    remove_unfinished(path.parent)  # large, and a kill may have left one more each time
    kept = "the previous checkpoint is intact" if path.exists() else "there is no earlier checkpoint"
    advice = f"{kept}: make room and repeat the command to go on"
    with (
        whole_file(path, advice=advice) as part,
        as_output_error(path, advice, (OSError, RuntimeError)),  # torch hides some errors of the disk in its own
        part.open("wb") as file,
    ):
        torch.save(state, file)


def read_checkpoint(path: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The state in a checkpoint, or None where there is none.

    Args:
        path: of the file.
        identity: what the run is: settings and data, flat or nested. The checkpoint must have been made by the same.

    Raises:
        UsageError: it is damaged, or of a run with another identity.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = _flat(state["identity"])
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        reason = type(error).__name__
        raise UsageError(f"{path} is no checkpoint of a training run ({reason}); remove it or use another -o") from None
    expected = _flat(identity)
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise UsageError(
                f"{path} was made with {name} = {found.get(name)}, this run has {name} = {expected.get(name)}; "
                "use another -o or the run's own settings and data"
            )
    return state


def _flat(entries: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested entries under dotted names, each as text."""
    flat: dict[str, str] = {}
    for name, value in entries.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat
