"""Reasons without the names of files and folders, for those may be names of patients."""

from __future__ import annotations

import re
from pathlib import Path

from ctresample.data_tools.dicom.series import FoundSeries
from ctresample.data_tools.plain_text import shown

_LONGEST = 400


def without_places(text: str, source: FoundSeries | Path) -> str:
    """An error's text in one line, with neutral words for the files and folders of a series.

    Args:
        text: of the error.
        source: what it is about. Files of a series are numbered along its normal, from 1.
    """
    if isinstance(source, Path):
        files, folders = [(str(source), source.name, "the file")], [str(source.parent)]
    else:
        named = [(header.file, f"file {number}") for number, header in enumerate(source.headers, start=1)]
        named += [(file, "a file") for file in source.damaged]
        files = [(str(file), file.short_name, word) for file, word in named]
        folders = sorted({str(file.folder) for file, _ in named}, key=len, reverse=True)
    for path, _, word in files:
        text = text.replace(path, word)
    for folder in folders:
        text = text.replace(folder, "the series")
    for _, name, word in files:
        # short numbers stay: they name nobody, and the text has numbers of its own
        if name in text and not (name.isdecimal() and len(name) < 6):
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", word, text)
    text = " ".join(shown(text).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
