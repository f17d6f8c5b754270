"""Text from files of unknown origin, made fit for one line on a terminal."""

from __future__ import annotations


def one_line(text: str, longest: int = 200) -> str:
    """The text without line breaks, control characters (a terminal obeys them) and excess length."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest])
    joined = " ".join(printable.split())
    return joined if len(joined) <= longest and len(text) <= 4 * longest else f"{joined[: longest - 4]} ..."
