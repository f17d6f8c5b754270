"""The device that was asked for, or an error."""

from __future__ import annotations

import pytest
import torch

from ctresample.device import pick_device
from ctresample.errors import DeviceError, UsageError


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_cpu(two_gpus):
    assert pick_device("cpu") == torch.device("cpu")


def test_auto_takes_a_gpu(two_gpus):
    assert pick_device("auto") == torch.device("cuda")


def test_auto_without_a_gpu(no_gpu):
    assert pick_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_a_gpu_that_is_there(two_gpus, name):
    assert pick_device(name) == torch.device(name)


def test_a_gpu_past_the_last(two_gpus):
    with pytest.raises(DeviceError, match="there are 2"):
        pick_device("cuda:2")


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_never_falls_back(no_gpu, name):
    with pytest.raises(DeviceError, match="use cpu"):
        pick_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "mps", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda:1:2"])
def test_other_names(two_gpus, name):
    with pytest.raises(UsageError, match="expected auto, cpu, cuda or cuda:N"):
        pick_device(name)
