"""What an archive answers when it is given an image: the numbers of PS3.4 B.2.3 and PS3.7 annex C."""

from __future__ import annotations

DUPLICATE = 0x0111
SOP_CLASS_NOT_SUPPORTED = 0x0122

_MEANINGS = {
    0x0110: "processing failure",
    DUPLICATE: "is there already",
    0x0117: "invalid image",
    SOP_CLASS_NOT_SUPPORTED: "its kind or encoding is not accepted",
    0x0124: "not authorised",
    0xA701: "out of resources",
    0xA702: "out of resources",
    0xA801: "our AE title is unknown",
    0xB000: "elements were changed",
    0xB006: "elements were discarded",
    0xB007: "does not match its kind",
}
_FAMILIES = {0xA7: "out of resources", 0xA9: "does not match its kind", 0xC0: "cannot be understood"}


def is_stored(status: int) -> bool:
    """Whether the archive has the image now, be it with a warning."""
    return status in (0, DUPLICATE) or status >> 12 == 0xB


def in_words(status: int) -> str:
    """For messages, with the number."""
    meaning = _MEANINGS.get(status) or _FAMILIES.get(status >> 8) or _FAMILIES.get(status >> 12 << 4)
    return f"status 0x{status:04X}{f', {meaning}' if meaning else ''}"
