"""Decimal numbers of DICOM elements, as programs of many countries write them."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset


def decimals(dataset: Dataset, keyword: str) -> list[float]:
    """The numbers of an element; a comma within one is a decimal comma. Empty if there is no such element.

    Raises:
        ValueError: text that is no number.
        TypeError: what can be no number.
    """
    value = dataset.get(keyword)
    if value is None or value == "":
        return []
    many = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return [_decimal(number) for number in (value if many else [value])]


def decimal_or_none(dataset: Dataset, keyword: str) -> float | None:
    """The one number of an element; None if there is none that can be used."""
    try:
        numbers = decimals(dataset, keyword)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers[0] if len(numbers) == 1 else None


def _decimal(value: object) -> float:
    if isinstance(value, str) and not isinstance(value, float):  # pydicom's decimal strings may be both
        return float(value.strip(" \0").replace(",", "."))
    return float(value)  # type: ignore[arg-type]  # what is none raises
