"""Where two records of settings first differ, in words for an error."""

from __future__ import annotations

import json
from typing import Any


def first_difference(name: str, old: Any, new: Any) -> str:
    """Follow two values that differ down to where they do: ``scan photons: 1e5 there, 1e4 now``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            if old.get(key) != new.get(key):
                return first_difference(f"{name} {key}".strip(), old.get(key), new.get(key))
    return f"{name}: {_short(old)} there, {_short(new)} now"


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
