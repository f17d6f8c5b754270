"""The pattern of the patches: found where it was put, and nowhere else."""

import pytest
import torch

from ctresample.errors import UsageError
from ctresample.pipelines.model_card.checkerboard import checkerboard, error_spectrum

SIZE = 96


def noise(n: int = 4) -> torch.Tensor:
    """White noise of 10 HU."""
    return 10 * torch.randn(n, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def found(error, period=4):
    return checkerboard(error_spectrum(error), period)


def squares() -> torch.Tensor:
    """Plus and minus one, changing from pixel to pixel."""
    i = torch.arange(SIZE)
    return 1.0 - 2.0 * ((i[:, None] + i) % 2)


def test_spectrum_adds_up_to_the_mean_square():
    error = noise(32)
    assert error_spectrum(error).sum() == pytest.approx(float(error.square().mean()), rel=0.05)


def test_noise_is_no_pattern():
    board = found(noise())
    assert board.ratio < 2.5
    assert board.pattern_hu < 2


def test_checkerboard_is_found_with_its_strength():
    board = found(noise() + 3 * squares())
    assert board.ratio > 50
    assert board.frequency == (0.5, 0.5)
    assert board.pattern_hu == pytest.approx(3, rel=0.25)


@pytest.mark.parametrize(("rows", "frequency"), [(True, (0.25, 0.0)), (False, (0.0, 0.25))])
def test_stripes_of_one_patch(rows, frequency):
    wave = 5 * torch.cos(torch.arange(SIZE) * torch.pi / 2)
    board = found(noise() + (wave[:, None] if rows else wave[None]))
    assert tuple(abs(f) for f in board.frequency) == frequency
    assert board.ratio > 50


def test_a_pattern_of_another_period_is_not_the_patches():
    wave = 5 * torch.cos(torch.arange(SIZE) * 2 * torch.pi / 3)  # every third pixel
    assert found(noise() + wave[:, None]).ratio < 2.5
    assert found(noise() + wave[:, None], period=3).ratio > 50


def test_an_error_of_nothing_has_no_pattern():
    board = found(torch.zeros(1, 1, SIZE, SIZE))
    assert (board.ratio, board.pattern_hu) == (1, 0)


@pytest.mark.parametrize("period", [1, 5, 16])
def test_unfit_period(period):
    with pytest.raises(UsageError, match=f"pattern of {period} "):
        found(noise(), period)
