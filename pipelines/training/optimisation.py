"""The state of a run, and one step of it: networks, optimisers, moving average, on accelerate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from accelerate.utils import send_to_device
from diffusers.training_utils import EMAModel

from ctresample.pipelines.training.objective import Batch, Objective
from ctresample.pipelines.training.processes import accelerator
from ctresample.pipelines.training.settings import RunSettings


class Optimisation:
    """Networks under training on this process's device.

    Args:
        objective: moved to the device; its network is trained in place.
        settings: of the run.

    Attributes:
        accelerator: knows the device and the other processes.
        steps_done: optimiser steps so far.
    """

    def __init__(self, objective: Objective, settings: RunSettings) -> None:
        self.objective, self.settings = objective, settings
        self.accelerator = accelerator(settings.precision)
        self.steps_done = 0
        objective.to(self.accelerator.device)
        self.trained = {name: p for name, p in objective.network.named_parameters() if p.requires_grad}
        self.ema = EMAModel(self.trained.values(), decay=settings.ema_decay, use_ema_warmup=True, power=0.75)
        self._players = [self._player(objective, self.trained)]
        if objective.opponent is not None:
            opponent = objective.opponent.to(self.accelerator.device)
            self._players.append(self._player(opponent, dict(opponent.named_parameters())))

    def _player(self, module: torch.nn.Module, trained: dict[str, torch.nn.Parameter]) -> tuple[Any, Any, Any]:
        optimiser = torch.optim.AdamW(
            trained.values(), self.settings.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4
        )
        return (*self.accelerator.prepare(module, optimiser), trained)

    def batches(self) -> Iterator[Batch]:
        """This process's batches, from the next step on."""
        first = self.steps_done * self.settings.accumulation
        return self.objective.batches(first, self.accelerator.process_index)

    def step(self, batches: Iterator[Batch]) -> torch.Tensor:
        """One optimiser step of the network, and one of its opponent where there is one; the network's mean loss."""
        parts = [send_to_device(next(batches), self.accelerator.device) for _ in range(self.settings.accumulation)]
        losses = [self._turn(*player, parts) for player in self._players]
        self.ema.step(self.trained.values())
        self.steps_done += 1
        return losses[0]

    def _turn(self, module: Any, optimiser: Any, trained: dict[str, torch.nn.Parameter], parts: list[Batch]) -> Any:
        for group in optimiser.param_groups:
            group["lr"] = self.settings.learning_rate_at(self.steps_done)
        losses = []
        for part in parts:
            # gradients travel between devices once a step, with the last part
            with nullcontext() if part is parts[-1] else self.accelerator.no_sync(module):
                loss = module(part)
                self.accelerator.backward(loss / len(parts))
            losses.append(loss.detach())
        self.accelerator.clip_grad_norm_(trained.values(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        return torch.stack(losses).mean()

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the network's trained weights, on the CPU."""
        return {name: p.detach().to("cpu", copy=True) for name, p in self.trained.items()}

    @torch.no_grad()
    def load_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Set the network's trained weights."""
        for name, parameter in self.trained.items():
            parameter.copy_(weights[name])

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        scaler = self.accelerator.scaler
        return {
            "steps_done": self.steps_done,
            "ema": self.ema.state_dict(),
            "players": [
                {"weights": {k: p.detach() for k, p in trained.items()}, "optimiser": optimiser.state_dict()}
                for _, optimiser, trained in self._players
            ],
            "scaler": scaler.state_dict() if scaler else {},
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to what `state` told."""
        self.steps_done = state["steps_done"]
        for (_, optimiser, trained), saved in zip(self._players, state["players"], strict=True):
            for name, parameter in trained.items():
                parameter.copy_(saved["weights"][name])
            optimiser.load_state_dict(saved["optimiser"])
        self.ema.load_state_dict(state["ema"])
        self.ema.to(self.accelerator.device)
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])
