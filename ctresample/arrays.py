"""Arrays as users have them, made once into those that the library computes with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ctresample.errors import UsageError

_NUMBERS = "uif"
"""Kinds of NumPy types that are real numbers; not booleans, which are masks, nor complex numbers."""


def as_array(values: ArrayLike, name: str, dtype: type[np.floating[Any]] = np.float32) -> NDArray[Any]:
    """Real numbers of any type, byte order, stride and library as a contiguous array in this machine's byte order.

    Args:
        values: a NumPy array, a torch tensor on any device, nested lists, or what else NumPy makes an array of. An
            array that is right already comes back itself.
        name: the argument, named in errors.
        dtype: of the result.

    Raises:
        UsageError: no real numbers, masked ones, or some that are too large for the type.
    """
    found = _numpy(values, name)
    if isinstance(found, np.ma.MaskedArray):
        if np.ma.getmaskarray(found).any():
            raise UsageError(f"{name} is a masked array; fill or leave out what is masked")
        found = found.data
    if found.dtype.kind not in _NUMBERS:
        raise UsageError(f"{name} is of type {found.dtype}; expected real numbers")
    # writable, for torch shares the memory of what it is handed, and warns where it must not write
    with np.errstate(over="ignore"):
        made = np.require(found, dtype, ["C_CONTIGUOUS", "WRITEABLE", "ALIGNED"])
    if found.dtype.kind == "f" and found.dtype.itemsize > made.dtype.itemsize:
        lost = int(np.count_nonzero(np.isinf(made)) - np.count_nonzero(np.isinf(found)))
        if lost:
            raise UsageError(f"{name} has {lost} values beyond {np.finfo(dtype).max:.1e}, the largest {made.dtype}")
    return made


def as_number(value: Any, name: str) -> float:
    """A real number of any type (a NumPy or torch scalar, too) as a float; `UsageError` otherwise."""
    try:
        if not isinstance(value, bool | str | bytes):
            return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        pass
    raise UsageError(f"{name} is {_shown(value)}; expected a number")


def as_whole(value: Any, name: str) -> int:
    """A whole number of any type (2, 2.0, np.int64(2)) as an int; `UsageError` otherwise."""
    number = as_number(value, name)
    if not number.is_integer():
        raise UsageError(f"{name} is {_shown(value)}; expected a whole number")
    return int(number)


def as_numbers(values: Iterable[Any], name: str) -> tuple[float, ...]:
    """A list, one-dimensional array or tensor of numbers as a tuple of floats; `UsageError` otherwise."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise UsageError(f"{name} is {_shown(values)}; expected a list or array of numbers")
    found: Any = values if hasattr(values, "ndim") else list(values)
    if isinstance(found, list) and not found:
        return ()
    array = as_array(found, name, np.float64)
    if array.ndim != 1:
        raise UsageError(f"{name} has shape {array.shape}; expected one number after another")
    return tuple(array.tolist())


_FIELDS: dict[str, Callable[[Any, str], Any]] = {
    "int": as_whole,
    "float": as_number,
    "tuple[float, ...]": as_numbers,
    "tuple[int, int]": lambda values, name: _so_many(values, name, as_whole, 2),
    "tuple[int, int, int]": lambda values, name: _so_many(values, name, as_whole, 3),
    "tuple[float, float]": lambda values, name: _so_many(values, name, as_number, 2),
    "tuple[float, float, float]": lambda values, name: _so_many(values, name, as_number, 3),
}


def settle_numbers(record: Any, owner: str) -> None:
    """Give the numbers of a frozen dataclass the types that it declares; for its ``__post_init__``.

    So records made of NumPy or torch numbers, lists and arrays are equal, and have equal hashes, to those made of
    plain ones.

    Args:
        record: a dataclass whose annotations are text (``from __future__ import annotations``).
        owner: named in errors before the field.
    """
    for one in fields(record):
        if (convert := _FIELDS.get(str(one.type))) is not None:
            object.__setattr__(record, one.name, convert(getattr(record, one.name), f"{owner}: {one.name}"))


def _so_many(values: Any, name: str, convert: Callable[[Any, str], Any], n: int) -> tuple[Any, ...]:
    numbers = as_numbers(values, name)
    if len(numbers) != n:
        raise UsageError(f"{name} holds {len(numbers)} numbers; expected {n}")
    return tuple(convert(number, name) for number in numbers)


def _numpy(values: Any, name: str) -> NDArray[Any]:
    try:
        if hasattr(values, "detach"):  # a torch tensor, told without importing torch
            tensor = values.detach().cpu().resolve_conj().resolve_neg()
            tensor = tensor if str(tensor.layout) == "torch.strided" else tensor.to_dense()
            return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()  # NumPy has none
        return np.asanyarray(values)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(f"{name} cannot be made an array ({reason}); expected real numbers") from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"of type {type(value).__name__}"
