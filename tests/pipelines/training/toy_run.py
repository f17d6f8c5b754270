"""A toy run of the loop on a small regression, with an opponent; as a program, one that kills itself.

Usage: toy_run.py FOLDER STEP_TO_DIE_AT
"""

import os
import signal
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch

from ctresample.pipelines.training.objective import Objective, random_numbers
from ctresample.pipelines.training.run import identity, train
from ctresample.pipelines.training.settings import RunSettings

SETTINGS = RunSettings(steps=24, batch_size=4, accumulation=2, warmup_steps=3, validate_every=5, ema_decay=0.9)


@dataclass(frozen=True)
class Holder:
    """Settings of a training, as those of an autoencoder."""

    run: RunSettings
    width: int = 8


class Opponent(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self._network = (network,)

    def forward(self, batch):
        with torch.no_grad():
            error = self._network[0](batch["x"]) - batch["y"]
        return (self.scale * error).mean() + self.scale.square().sum()


class Toy(Objective):
    """Learn ``y = sin(x)``."""

    def __init__(self, width=8, seed=0):
        torch.manual_seed(seed)
        network = torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))
        super().__init__(network, Opponent(network))

    def batches(self, first, process):
        for number in count(first):
            x = torch.randn(SETTINGS.batch_size, 1, generator=random_numbers(number, process))
            yield {"x": x, "y": x.sin()}

    def forward(self, batch):
        error = self.network(batch["x"]) - batch["y"]
        return error.square().mean() + 0.01 * self.opponent.scale.detach().sum() * error.mean()

    @torch.no_grad()
    def validate(self):
        x = torch.linspace(-2, 2, 50)[:, None]
        return {"loss": float((self.network(x) - x.sin()).square().mean())}


def run(folder, settings=SETTINGS, toy=None, on_step=None):
    """Weights at the end."""
    toy = toy or Toy()
    train(toy, folder, settings, identity(Holder(settings, toy.network[0].out_features), "digest"), on_step=on_step)
    return toy.network.state_dict()


if __name__ == "__main__":

    def die(step, loss, figures):
        if step == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

    run(Path(sys.argv[1]), on_step=die)
