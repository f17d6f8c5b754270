"""The mean of images that come one after the other."""

from __future__ import annotations

import pytest
import torch

from ctresample.solvers.resample.mean_image import MeanImage


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_it_is_that_of_all_at_once(n):
    images = torch.randn(n, 2, 1, 16, 16, generator=torch.Generator().manual_seed(n))
    mean = MeanImage()
    for image in images:
        mean.add(image)
    assert torch.equal(mean.value, images.mean(0))


def test_what_was_added_stays_as_it_was():
    first = torch.ones(1, 1, 4, 4)
    mean = MeanImage()
    mean.add(first)
    mean.add(3 * first)
    assert torch.equal(first, torch.ones(1, 1, 4, 4))
    assert torch.equal(mean.value, 2 * first)


def test_of_none_there_is_none():
    assert MeanImage().value is None
