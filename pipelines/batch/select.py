"""Which of the series found are wanted."""

from __future__ import annotations

import re

from ctresample.errors import UsageError
from ctresample.pipelines.batch.inputs import BatchInput

FACINGS = ("axial", "coronal", "sagittal", "sinogram")


class Selection:
    """Words that all must hold, and keys of which one must.

    Args:
        words: ``axial``, ``coronal``, ``sagittal`` or ``sinogram`` (one of those named), ``slices>=N``, and keys or
            their beginnings of at least four digits. None at all select everything.

    Raises:
        UsageError: a word that is none of these.
    """

    def __init__(self, words: list[str]) -> None:
        self._facings = {word for word in words if word in FACINGS}
        self._keys, self._least = [], 0
        for word in words:
            if least := re.fullmatch(r"slices>=(\d+)", word):
                self._least = max(self._least, int(least[1]))
            elif re.fullmatch(r"[0-9a-f]{4,12}", word):
                self._keys.append(word)
            elif word not in FACINGS:
                raise UsageError(
                    f"--select has {word!r}; expected {', '.join(FACINGS)}, slices>=N, or keys (at least 4 digits of "
                    "each) as --dry-run shows them"
                )

    def takes(self, found: BatchInput) -> bool:
        """Whether it is wanted."""
        return (
            (not self._facings or found.facing in self._facings)
            and found.n_slices >= self._least
            and (not self._keys or any(found.key.startswith(key) for key in self._keys))
        )
