"""A pretend device: what would go wrong on a GPU, and how often the host would wait, told without one.

Inside ``with PretendDevice() as device`` tensors on the device ``device.name`` compute on the CPU but behave as if they
were elsewhere: they refuse to mix with CPU tensors and CPU generators, and ``numpy()`` refuses them. Numbers are those
of the CPU but for rounding, as torch composes some operations in another way. It is blind to what only real hardware
shows: missing kernels, streams, memory.

The device is called "meta", the one device without hardware that torch's dispatcher and autograd both know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

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

    inner: torch.Tensor

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
        made.inner = inner
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

    def tolist(self) -> Any:
        """As of any tensor, which torch leaves out for subclasses: it waits."""
        return self.cpu().tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> Any:
        return f"PretendTensor({self.inner!r})"


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
        self._from_data = _FromData()

    def __enter__(self) -> Self:
        self._from_data.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._from_data.__exit__(*error)

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


class _FromData(TorchFunctionMode):
    """Numbers of Python go to the device by the CPU; torch itself would drop those that are meant for "meta"."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.new_tensor:
            like, *args = args
            func, kwargs = torch.tensor, {"device": like.device, "dtype": like.dtype, **kwargs}
        device = kwargs.get("device")
        if func not in (torch.tensor, torch.as_tensor, torch.asarray) or device is None:
            return func(*args, **kwargs)
        return func(*args, **{**kwargs, "device": None}).to(device)


def _compute(func: Any, args: Any, kwargs: dict[str, Any], counts: Counter[str]) -> Any:
    """Run an operation on the CPU values, if a real device would take it."""
    packet = func.overloadpacket
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, torch.Tensor)]
    here = [one for one in tensors if isinstance(one, PretendTensor)]
    asked = kwargs.get("device")
    wanted = None if asked is None else torch.device(asked).type == NAME
    if packet in _COPIES:
        return _copied(func, args, kwargs, wanted, counts)
    if not here and not wanted:
        return func(*args, **kwargs)
    _check_together(packet, tensors, kwargs)
    _count(func, args, counts)
    plain_args, plain_kwargs = tree_map_only(PretendTensor, lambda one: one.inner, (args, kwargs))
    if wanted:
        plain_kwargs = {**plain_kwargs, "device": "cpu"}
    out = tree_map_only(torch.Tensor, PretendTensor, func(*plain_args, **plain_kwargs))
    return return_and_correct_aliasing(func, args, kwargs, out) if here else out


def _copied(func: Any, args: Any, kwargs: dict[str, Any], wanted: bool | None, counts: Counter[str]) -> Any:
    """A copy, from device to device or on one."""
    in_place = func.overloadpacket is _aten.copy_
    source = args[1] if in_place else args[0]
    was_here = isinstance(source, PretendTensor)
    goes_here = isinstance(args[0], PretendTensor) if in_place or wanted is None else wanted
    if was_here or goes_here:
        counts["launch" if was_here == goes_here else "upload" if goes_here else "cpu"] += 1
    plain_args, plain_kwargs = tree_map_only(PretendTensor, lambda one: one.inner, (args, kwargs))
    if goes_here and wanted:
        plain_kwargs = {**plain_kwargs, "device": "cpu"}
    out = func(*plain_args, **plain_kwargs)
    if in_place:
        return args[0]
    return PretendTensor(out) if goes_here else out


def _check_together(packet: Any, tensors: list[torch.Tensor], kwargs: dict[str, Any]) -> None:
    """Refuse what a real device refuses."""
    if any(one.device.type == NAME and not isinstance(one, PretendTensor) for one in tensors):
        raise RuntimeError(f"{packet} got a tensor without values; was it made before the pretend device was there?")
    elsewhere = [one for one in tensors if not isinstance(one, PretendTensor) and one.ndim > 0]
    if elsewhere and packet not in _INDEXING:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {packet} got one of shape {tuple(elsewhere[0].shape)} "
            "on the CPU and another on the pretend device"
        )
    if kwargs.get("generator") is not None:
        raise RuntimeError(f"{packet} expected a generator of the pretend device but found one of the CPU")


def _count(func: Any, args: Any, counts: Counter[str]) -> None:
    packet = func.overloadpacket
    masks = packet in _INDEXING and any(one is not None and one.dtype == torch.bool for one in args[1])
    if packet in _WAITS or masks:
        counts[packet.__name__] += 1
    returns = func._schema.returns
    is_view = bool(returns) and returns[0].alias_info is not None and not returns[0].alias_info.is_write
    if not is_view and not packet.__name__.startswith("empty"):
        counts["launch"] += 1
