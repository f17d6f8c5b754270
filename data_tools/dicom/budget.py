"""One budget for all that pydicom reads of a file: elements, items and bytes of every level of its sequences.

pydicom bounds none of them, and reads some sequences at once and others when they are asked for. So each element is
counted where all of them pass, in its generator of elements.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pydicom import filereader
from pydicom.datadict import dictionary_VR

from ctresample.errors import DicomError

MAX_ELEMENTS = 20_000
"""And items, on all levels, of one image: with a reference to each of 2,000 others it has fewer."""
MAX_ELEMENTS_OF_A_FRAME = 250
"""More, of an enhanced image, which describes each of its frames."""
MAX_ELEMENTS_OF_FRAMES = 300_000
"""Of all frames together, for how many there are the file itself says."""
_ITEM = 5
"""An item takes pydicom the time of so many elements, empty as it may be."""
MAX_DEPTH = 20
"""Of sequences in sequences that are read at once."""
MAX_SEQUENCE_BYTES = 2**30
"""Of sequences that are read when they are asked for, on all levels together: each level is copied once more."""
MAX_TEXT_BYTES = 2**20
"""Of an element that is no bulk data: its values are split, and each is made an object."""

_NUMBER_OF_FRAMES = 0x0028_0008
_BULK = {"OB", "OD", "OF", "OL", "OV", "OW", "OB or OW", "US or OW", "US or SS or OW", "UN", "SQ", "UT"}


class _Budget:
    """What of one file has been read.

    Args:
        file: for messages.
    """

    def __init__(self, file: object) -> None:
        self._file, self.n_elements, self.n_bytes, self.depth = file, 0, 0, 0
        self._most = MAX_ELEMENTS

    def take(self, element: Any = None) -> None:
        """Count an element, or the beginning of an item; `DicomError` where there are too many, or too much of it."""
        self.n_elements += 1 if element is not None else _ITEM
        if self.n_elements > self._most:
            raise self._too(f"has over {self._most:,} elements")
        if self.depth > MAX_DEPTH:
            raise self._too(f"has sequences over {MAX_DEPTH} levels deep")
        value = getattr(element, "value", None)
        if self.depth == 1 and element is not None and element.tag == _NUMBER_OF_FRAMES and isinstance(value, bytes):
            n_frames = int(value) if value.strip(b" \0").isdigit() else 0
            self._most = MAX_ELEMENTS + min(MAX_ELEMENTS_OF_A_FRAME * n_frames, MAX_ELEMENTS_OF_FRAMES)
        if isinstance(value, bytes) and len(value) > MAX_TEXT_BYTES:
            vr = getattr(element, "VR", None) or _vr(int(element.tag))
            if vr == "SQ":
                self.n_bytes += len(value)
            elif vr not in _BULK:
                raise self._too(f"has over {MAX_TEXT_BYTES >> 20} MiB in one element that is no bulk data")
        if self.n_bytes > MAX_SEQUENCE_BYTES:
            raise self._too(f"has over {MAX_SEQUENCE_BYTES >> 20} MiB in sequences")

    def _too(self, what: str) -> DicomError:
        return DicomError(f"{self._file} {what}; expected one CT image; export it again")


_current: ContextVar[_Budget | None] = ContextVar("budget", default=None)


@contextmanager
def budget_of(file: object) -> Iterator[None]:
    """Bound what is read in the block, which is of one file; within another one of the same file, as a part of it."""
    outer = _current.get()
    token = _current.set(outer if outer is not None and outer._file == file else _Budget(file))  # noqa: SLF001
    try:
        yield
    finally:
        _current.reset(token)


def _vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _counted(*arguments: Any, **more: Any) -> Iterator[Any]:
    """Pydicom's generator of the elements of a data set or item, with the budget of the file."""
    elements, budget = _uncounted(*arguments, **more), _current.get()
    if budget is None:
        return elements
    budget.take()  # at once: of an item without length nothing is ever asked for
    return _each(elements, budget)


def _each(elements: Iterator[Any], budget: _Budget) -> Iterator[Any]:
    budget.depth += 1
    try:
        for element in elements:
            budget.take(element)
            yield element
    finally:
        budget.depth -= 1


_uncounted = filereader.data_element_generator
filereader.data_element_generator = _counted
