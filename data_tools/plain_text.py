"""The one place where text of unknown origin is made fit to be shown: on a terminal, in a table, in one line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def one_line(text: str, longest: int = 200) -> str:
    """The text without line breaks, control characters (a terminal obeys them) and excess length."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest])
    joined = " ".join(printable.split())
    return joined if len(joined) <= longest and len(text) <= 4 * longest else f"{joined[: longest - 4]} ..."


def shown(text: str) -> str:
    r"""The text with what is not printable escaped: ``\x1b``, or ``\udcff`` for a byte of a name that is no UTF-8."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def csv_text(lines: Iterable[Sequence[object]], *, line_end: str = "\n") -> str:
    """A table as CSV that a spreadsheet opens without running any of it.

    Words that it would take for a formula get an apostrophe in front, and what is not printable is escaped; numbers
    stay what they are.

    Args:
        lines: cells, the heading first.
        line_end: of each.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerows([_cell(cell) for cell in line] for line in lines)
    return text.getvalue()


def csv_word(cell: str) -> str:
    """What a word was before `csv_text` wrote it."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _cell(value: object) -> object:
    if not isinstance(value, str) or _is_number(value):
        return value
    return f"'{shown(value)}" if value.startswith(_FORMULA) else shown(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isprintable()
