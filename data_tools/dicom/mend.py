"""Bring values of a source header within the rules of their value representation, where their meaning is plain."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime

_LONGEST = {"AE": 16, "CS": 16, "LO": 64, "LT": 10240, "SH": 16, "ST": 1024}  # PS3.5 table 6.2-1
_MARK_LENGTH = 9  # of "~" and eight hexadecimal digits
_NAME_GROUPS, _NAME_PARTS, _LONGEST_NAME = 3, 5, 64
_DATES = ("%Y%m%d", "%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d")  # the year first: others may be read in two ways
_TIME = re.compile(r"(\d{2}):?(?:(\d{2}):?(?:(\d{2})(\.\d{1,6})?\d*)?)?(?:Z|[+-]\d{2}:?\d{2})?")

LEFT_OUT = "left out: invalid"


def mended(vr: str, values: Sequence[str]) -> tuple[str | None, str]:
    """One valid value in place of one or more, and in words what was done.

    Args:
        vr: value representation of the attribute, of texts, dates, times and names.
        values: as they were found.

    Returns:
        The value, None where nothing valid can be made of it; and what was done, empty where nothing was.
    """
    found = "\\".join(values)
    text = "".join(letter for letter in found.replace("\\", "/") if letter.isprintable()).strip()
    done = "characters replaced" if text != found.strip() else ""
    if not text:
        return (None, LEFT_OUT) if done else ("", "")
    if vr == "DA":
        date = _date(text)
        return (date, "" if date == found.strip() else "date rewritten") if date else (None, LEFT_OUT)
    if vr == "TM":
        time = _time(text)
        return (time, "" if time == found.strip() else "time rewritten") if time else (None, LEFT_OUT)
    if vr == "PN":
        name = _name(text)
        return name, done if name == text else "shortened"
    longest = _LONGEST.get(vr, len(text))
    if len(text) > longest:
        return _shortened(text, longest), "shortened"
    return text, done


def is_uid(text: str) -> bool:
    """Whether a text is a UID, leading zeros aside: archives hold such UIDs."""
    return len(text) <= 64 and re.fullmatch(r"\d+(\.\d+)*", text) is not None


def _shortened(text: str, longest: int) -> str:
    """Cut, with a mark that keeps apart what differed behind the cut: two patients must not become one."""
    mark = hashlib.sha256(text.encode()).hexdigest()[: _MARK_LENGTH - 1]
    return f"{text[: longest - _MARK_LENGTH].rstrip()}~{mark}"


def _date(text: str) -> str | None:
    for pattern in _DATES:
        try:
            found = datetime.strptime(text, pattern)  # noqa: DTZ007 (a date has no time zone)
        except ValueError:
            continue
        return found.strftime("%Y%m%d") if len(f"{found.year}") == 4 else None
    return None


def _time(text: str) -> str | None:
    found = _TIME.fullmatch(text)
    if not found:
        return None
    hours, minutes, seconds, fraction = found.groups()
    if int(hours) > 23 or int(minutes or 0) > 59 or int(seconds or 0) > 60:
        return None
    return f"{hours}{minutes or ''}{seconds or ''}{fraction or ''}"


def _name(text: str) -> str:
    groups = ["^".join(group.split("^")[:_NAME_PARTS]) for group in text.split("=")[:_NAME_GROUPS]]
    return "=".join(_short_name(group) if len(group) > _LONGEST_NAME else group for group in groups)


def _short_name(group: str) -> str:
    """Cut the family name if that is enough; the sign behind it is what makes a text a name since 1993."""
    family, _, others = group.partition("^")
    room = _LONGEST_NAME - len(others) - 1
    return (
        f"{_shortened(family, room)}^{others}"
        if room > 2 * _MARK_LENGTH
        else f"{_shortened(group, _LONGEST_NAME - 1)}^"
    )
