"""Count what a method does: passes through networks, projections and back projections, each once a slice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from ctresample.operators import Projector

NETWORKS = ("denoiser", "encoder", "decoder")
COUNTED = (
    *(f"{network}_calls" for network in NETWORKS),
    *(f"{network}_backwards" for network in NETWORKS),
    "projections",
    "back_projections",
)
"""Names of the counts, as in the columns of a results table."""

Tally = Counter[str]


class CountedProjector(Projector):
    """Another projector that keeps count; its numbers are the other's.

    Args:
        inner: does the work.
        tally: counts ``projections`` and ``back_projections``, a batch of n as n.
    """

    def __init__(self, inner: Projector, tally: Tally) -> None:
        super().__init__(inner.geometry, inner.grid, device=inner.device, dtype=inner.dtype)
        self.exact_adjoint = inner.exact_adjoint
        self._inner, self._tally = inner, tally

    def project(self, x: torch.Tensor) -> torch.Tensor:
        self._tally["projections"] += len(x)
        return self._inner.project(x)

    def back_project(self, y: torch.Tensor) -> torch.Tensor:
        self._tally["back_projections"] += len(y)
        return self._inner.back_project(y)


@contextmanager
def counted_networks(model: Any, tally: Tally) -> Iterator[None]:
    """Count the passes through a learned model's networks while the block runs.

    Forward hooks do it, which leave the model and its results as they are. A backward pass counts when a gradient
    reaches a network's output; one forward-mode derivative counts as one forward pass.

    Args:
        model: `LatentPrior` or another with a ``unet`` and perhaps a ``vae`` among its attributes; None for none. A
            denoiser of scans (``scan_unet``) counts as a denoiser.
        tally: takes the counts, a batch of n as n.
    """
    with ExitStack() as hooks:
        counted = [*networks_of(model).items(), ("denoiser", getattr(model, "scan_unet", None))]
        for name, network in counted:
            if isinstance(network, nn.Module):
                hooks.callback(network.register_forward_hook(_counter(name, tally)).remove)
        yield


def networks_of(model: Any) -> dict[str, nn.Module]:
    """The networks whose passes are counted, by name: those of `NETWORKS` that the model has, or it itself."""
    vae = getattr(model, "vae", None)
    found = {
        "denoiser": model if isinstance(model, nn.Module) else getattr(model, "unet", None),
        "encoder": getattr(vae, "encoder", None),
        "decoder": getattr(vae, "decoder", None),
    }
    return {name: network for name, network in found.items() if isinstance(network, nn.Module)}


def _counter(name: str, tally: Tally) -> Callable[..., Any]:
    def hook(_network: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
        n = len(output if isinstance(output, torch.Tensor) else output.sample)
        tally[f"{name}_calls"] += n

        def count() -> None:
            tally[f"{name}_backwards"] += n

        if isinstance(output, torch.Tensor):
            return _counted(output, count)
        output.sample = _counted(output.sample, count)
        return output

    return hook


def _counted(output: torch.Tensor, count: Callable[[], None]) -> torch.Tensor:
    if not output.requires_grad:
        return output
    same: torch.Tensor = _Counted.apply(output, count)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return same


class _Counted(torch.autograd.Function):
    """The identity, which counts the gradients that pass; also under ``torch.func``, where hooks of tensors fail."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: torch.Tensor, count: Callable[[], None]) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.count = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        ctx.count()
        return grads[0], None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> torch.Tensor:
        tangent: torch.Tensor = tangents[0]
        return tangent.view_as(tangent)
