"""A sampler that repeats training slices is caught; one that makes new ones is not."""

import math

import pytest
import torch
from bodies import PixelPrior, bodies

from ctresample.pipelines.model_card import memorisation as memorisation_module
from ctresample.pipelines.model_card import nearest as nearest_module
from ctresample.pipelines.model_card.memorisation import Memorisation, measure_memorisation
from ctresample.pipelines.model_card.nearest import Nearest, centre_parts, in_line, nearest_slices
from ctresample.pipelines.model_card.samples import draw_samples

TRAINING = bodies(8, seed=0)


@pytest.fixture(autouse=True)
def quick_search(monkeypatch):
    """Among few slices the best need no long list."""
    monkeypatch.setattr(nearest_module, "KEPT", 12)
    monkeypatch.setattr(memorisation_module, "COPIES", 4)
    # parts of these simple bodies are often flat, and then like many others
    monkeypatch.setattr(memorisation_module, "_WHOLE_SHARE", 1.0)


def test_copies_are_caught_and_fresh_images_are_not():
    copies = TRAINING.batch((5,), 2, 64, 1.0)  # turned, scaled, shifted and mirrored
    copies += 15 * torch.randn(copies.shape, generator=torch.Generator().manual_seed(0))
    fresh = bodies(2, seed=2).whole(64)
    found = measure_memorisation(torch.cat([copies, fresh]), TRAINING, bodies(2, seed=1), seed=1)
    assert set(found.near_copies) == {0, 1}
    assert {0, 1} <= set(found.nearer_than_held_out)
    assert found.held_out_like_copies == 0
    assert len(found.held_out) == 4  # whole, and the middle of each


def test_a_slice_itself_is_at_no_distance():
    (nearest,) = nearest_slices(TRAINING.whole(64)[7:8], TRAINING)
    assert (nearest.slice_index, nearest.place) == (7, 0)
    assert nearest.distance < 0.02


def test_a_part_is_found_in_its_slice():
    middles = centre_parts(TRAINING, 64)
    nearest = nearest_slices(middles[[3, 6]], TRAINING)
    assert [n.slice_index for n in nearest] == [3, 6]
    assert max(n.distance for n in nearest) < 0.1
    assert torch.equal(middles[3, 0], torch.nn.functional.avg_pool2d(torch.tensor(
        TRAINING.hu[3, None, 128:384, 128:384]).float(), 4)[0])  # fmt: skip


def test_mirrored_slice_is_brought_into_line():
    mirrored = TRAINING.whole(64)[5:6].flip(-1)
    (nearest,) = nearest_slices(mirrored, TRAINING)
    assert nearest.slice_index == 5
    difference = in_line(TRAINING, nearest, 64) - mirrored[0, 0]
    assert float(difference.square().mean().sqrt()) < 0.1 * float(mirrored.std())


def test_flat_images_do_not_divide_by_zero():
    (nearest,) = nearest_slices(torch.full((1, 1, 64, 64), -1000.0), TRAINING)
    assert math.isfinite(nearest.distance)


def test_verdicts():
    def at(distance):
        return Nearest(distance, 0, 0, ((1, 0, 0), (0, 1, 0)))

    copies = (0.1,) * 9 + (0.9,)  # one that the search missed
    card = Memorisation((at(0.05), at(0.2), at(0.5)), held_out=(0.3, 0.08), copies=copies)
    assert card.copy_distance == 0.1
    assert card.near_copies == (0,)
    assert card.nearer_than_held_out == (0,)
    assert card.held_out_like_copies == 1


def test_samples_of_a_prior_that_knows_one_image_are_that_image():
    hu = TRAINING.whole(16)[4:5]  # constant over the prior's patches
    prior = PixelPrior(hu / 1000)
    samples = draw_samples(prior, 3, size=64, steps=5, seed=0)
    torch.testing.assert_close(samples, torch.nn.functional.interpolate(hu, scale_factor=4).expand(3, 1, 64, 64))


class Echo(PixelPrior):
    """Of which every estimate is half of what it is given: what it draws depends on the noise alone."""

    def predict(self, z_t, t):
        a, s = float(self.alpha_bar[t]) ** 0.5, float(1 - self.alpha_bar[t]) ** 0.5
        return z_t / 2, (z_t - a * z_t / 2) / s


def test_samples_follow_their_seed():
    def draw(seed, n=2):
        return draw_samples(Echo(), n, size=64, steps=4, seed=seed)

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))
    assert not torch.equal(draw(3)[0], draw(3)[1])
