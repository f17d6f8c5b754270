"""The options by which a verb de-identifies what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctresample.errors import UsageError

if TYPE_CHECKING:
    from ctresample.data_tools.deidentify import Deidentifier

_GROUP = "De-identification"

Deidentify = Annotated[
    bool,
    typer.Option(
        "--deidentify",
        help="Replace or leave out names, dates, numbers and UIDs of the DICOM headers (DICOM PS3.15, Basic Profile). "
        "Text and faces in the pixels stay.",
        rich_help_panel=_GROUP,
    ),
]
RetainDevice = Annotated[
    bool,
    typer.Option(
        "--retain-device",
        help="With --deidentify: keep what names the scanner: maker, model, software, serial number, station.",
        rich_help_panel=_GROUP,
    ),
]
DeidentificationKey = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="Secret key: what has one key gets the same pseudonyms and UIDs, in every run. Made if missing. "
        "Without it: a new key, kept nowhere.",
        rich_help_panel=_GROUP,
    ),
]


def chosen_deidentifier(wanted: bool, key: Path | None, retain_device: bool) -> Deidentifier | None:
    """What the options ask for; None for nothing.

    Raises:
        UsageError: a key without --deidentify, or a file that holds none.
        OutputError: a key that cannot be made.
    """
    if not wanted:
        check_retain_device(wanted, retain_device)
        if key:
            raise UsageError("--deidentification-key is given without --deidentify; expected both; add it")
        return None
    from ctresample.data_tools.deidentify import Deidentifier, new_key, read_or_make_key

    return Deidentifier(read_or_make_key(key) if key else new_key(), retain_device=retain_device)


def check_retain_device(wanted: bool, retain_device: bool) -> None:
    """`UsageError` for --retain-device without --deidentify."""
    if retain_device and not wanted:
        raise UsageError("--retain-device is given without --deidentify; expected both; add it")
