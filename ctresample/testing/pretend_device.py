"""A pretend device: what would go wrong on a GPU, and how often the host would wait, told without one.

Inside ``with PretendDevice() as device`` tensors on the device ``device.name`` compute on the CPU but behave as if they
were elsewhere: they refuse to mix with CPU tensors and CPU generators, and ``numpy()`` refuses them. Numbers are those
of the CPU but for rounding, as torch composes some operations in another way. It is blind to what only real hardware
shows: missing kernels, streams, memory.

The device is called "meta", the one device without hardware that torch's dispatcher and autograd both know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "meta"

_aten = torch.ops.aten

_COPIES = {_aten._to_copy, _aten.copy_}
"""Operations that may take tensors of two devices."""

_INDEXING = {_aten.index, _aten.index_put, _aten.index_put_, _aten._index_put_impl_}
"""They take indices that lie on the CPU."""

_WAITS = {_aten._local_scalar_dense, _aten.nonzero, _aten.masked_select, _aten._unique2, _aten.unique_dim, _aten.equal}
"""Operations whose result the host must know before it goes on: a value, or a size."""


class PretendTensor(torch.Tensor):
    """A tensor on the pretend device, around the CPU tensor that holds its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls: type[PretendTensor], inner: torch.Tensor) -> PretendTensor:
        strided = inner.layout == torch.strided
        made: PretendTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride() if strided else None,
            storage_offset=inner.storage_offset() if strided else None,
            dtype=inner.dtype,
            device=torch.device(NAME),
        )
        made.held = inner
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's own types say that it is no method of the class
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _compute(func, args, kwargs or {}, Counter())

    def numpy(self, *, force: bool = False) -> Any:
        """Refused, as by a GPU's tensors."""
        raise TypeError("can't convert a tensor of the pretend device to numpy; use Tensor.cpu() first")

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_as_tensors(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_as_tensors(index), value)

    def new_tensor(self, data: Any, **kwargs: Any) -> torch.Tensor:  # type: ignore[override]
        """As of any tensor, by the CPU."""
        return torch.tensor(data, **{"dtype": self.dtype, "device": self.device, **kwargs})

    def tolist(self) -> Any:
        """As of any tensor, which torch leaves out for subclasses: it waits."""
        return self.cpu().tolist()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"PretendTensor({self.held!r})"


class PretendDevice(TorchDispatchMode):
    """Make the device work while the block runs, and count.

    Attributes:
        name: to be given to ``to`` and as ``device``.
        waits: how often the host waited for a result: ``item()``, ``bool()``, ``tolist()``, ``nonzero()``, ``cpu()``.
        uploads: how often values went from the host to the device; from memory that is not pinned each waits, too.
        launches: operations that would each start a kernel.
        causes: the operations that made the host wait, with how often.
    """

    name = NAME

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        for name in ("tensor", "as_tensor", "asarray"):
            self._patches.enter_context(patch.object(torch, name, _by_the_cpu(getattr(torch, name))))
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._patches.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {}, self._counts)

    @property
    def waits(self) -> int:
        return sum(self.causes.values())

    @property
    def causes(self) -> dict[str, int]:
        return {name: n for name, n in self._counts.items() if name not in ("upload", "launch")}

    @property
    def uploads(self) -> int:
        return self._counts["upload"]

    @property
    def launches(self) -> int:
        return self._counts["launch"]

    @contextmanager
    def counted(self) -> Iterator[PretendDevice]:
        """Count anew from here."""
        self._counts.clear()
        yield self


def _by_the_cpu(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Numbers of Python go to the device by the CPU; torch itself would drop those that are meant for "meta"."""

    def made(*args: Any, device: Any = None, **kwargs: Any) -> torch.Tensor:
        if device is None or torch.device(device).type != NAME:
            return make(*args, device=device, **kwargs)
        return make(*args, device=None, **kwargs).to(device)

    return made


def _as_tensors(index: Any) -> Any:
    """An index in which lists are tensors of the CPU, for the same reason."""
    if isinstance(index, tuple):
        return tuple(map(_as_tensors, index))
    return torch.tensor(index) if isinstance(index, list) else index


def _compute(func: Any, args: Any, kwargs: dict[str, Any], counts: Counter[str]) -> Any:
    """Run an operation on the CPU values, if a real device would take it."""
    kind = _kind_of(func)
    tensors = list(_tensors((*args, *kwargs.values())))
    here = any(type(one) is PretendTensor for one in tensors)
    asked = kwargs.get("device")
    wanted = None if asked is None else torch.device(asked).type == NAME
    if kind.packet in _COPIES:
        return _copied(func, kind.packet is _aten.copy_, args, kwargs, wanted, counts)
    if not here and not wanted:
        return func(*args, **kwargs)
    _check_together(kind.packet, tensors, kwargs)
    waits = kind.packet in _WAITS or (kind.packet in _INDEXING and any(_is_mask(one) for one in args[1]))
    if waits:
        counts[kind.name] += 1
    counts["launch"] += kind.launches
    if kind.changes_shape:
        raise NotImplementedError(f"{func} changes the shape of a tensor in place, which the pretend device cannot")
    out = func(*map(_held, args), **_held_by(kwargs, wanted))
    if kind.in_place:
        return kwargs["out"] if "out" in kwargs else args[0]
    return _around(out)


@dataclass(frozen=True)
class _Kind:
    """What is known of an operation from its schema."""

    packet: Any
    name: str
    launches: bool
    in_place: bool
    changes_shape: bool


@cache
def _kind_of(func: Any) -> _Kind:
    packet, returns = func.overloadpacket, func._schema.returns
    alias = returns[0].alias_info if returns else None
    in_place = alias is not None and alias.is_write
    launches = (alias is None or in_place) and not packet.__name__.startswith("empty")
    return _Kind(packet, packet.__name__, launches, in_place, torch.Tag.inplace_view in func.tags)


def _copied(
    func: Any, in_place: bool, args: Any, kwargs: dict[str, Any], wanted: bool | None, counts: Counter[str]
) -> Any:
    """A copy, from device to device or on one."""
    was_here = type(args[1] if in_place else args[0]) is PretendTensor
    goes_here = type(args[0]) is PretendTensor if in_place or wanted is None else wanted
    if was_here or goes_here:
        counts["launch" if was_here == goes_here else "upload" if goes_here else "cpu"] += 1
    out = func(*map(_held, args), **_held_by(kwargs, wanted))
    if in_place:
        return args[0]
    return PretendTensor(out) if goes_here else out


def _check_together(packet: Any, tensors: list[torch.Tensor], kwargs: dict[str, Any]) -> None:
    """Refuse what a real device refuses."""
    for one in tensors:
        if type(one) is PretendTensor:
            continue
        if one.device.type == NAME:
            raise RuntimeError(
                f"{packet} got a tensor without values; was it made before the pretend device was there?"
            )
        if one.ndim > 0 and packet not in _INDEXING:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {packet} got one of shape {tuple(one.shape)} on "
                "the CPU and another on the pretend device"
            )
    if kwargs.get("generator") is not None:
        raise RuntimeError(f"{packet} expected a generator of the pretend device but found one of the CPU")


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for one in values:
        if isinstance(one, torch.Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from _tensors(one)


def _held(value: Any) -> Any:
    """The CPU tensor of one on the device, also of those in a list; anything else itself."""
    if type(value) is PretendTensor:
        return value.held
    return type(value)(map(_held, value)) if type(value) in (list, tuple) else value


def _held_by(kwargs: dict[str, Any], wanted: bool | None) -> dict[str, Any]:
    plain = {name: _held(value) for name, value in kwargs.items()}
    return {**plain, "device": "cpu"} if wanted else plain


def _around(value: Any) -> Any:
    """Results, on the device."""
    if isinstance(value, torch.Tensor):
        return PretendTensor(value)
    return type(value)(map(_around, value)) if type(value) in (list, tuple) else value


def _is_mask(index: torch.Tensor | None) -> bool:
    return index is not None and index.dtype == torch.bool
