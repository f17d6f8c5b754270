"""Training images: exact where the augmentation does nothing, balanced, and the same however they are made."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctresample.data_tools.training_batches import stream_batches
from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import DatasetError, UsageError


def noise(n_slices, patients, seed=0):
    hu = np.random.default_rng(seed).normal(-200, 300, (n_slices, 512, 512)).clip(-1000, 3000).astype(np.int16)
    numbers = np.resize(patients, n_slices)
    return TrainingSlices(hu, numbers, tuple(f"{seed}-{p}" for p in np.unique(numbers)), f"digest{seed}")


class Scripted:
    """A generator whose augmentation is known: zero angle, scale 1, the given shift, mirrored or not."""

    def __init__(self, shift=(0.0, 0.0), mirrored=False):
        self._shift, self._random = shift, iter((0.5, 0.9 if mirrored else 0.1))

    def choice(self, values, p=None):
        return np.arange(values)[0] if np.ndim(values) == 0 else values[0]

    def random(self):
        return next(self._random)

    def uniform(self, low, high, n=None):
        return 0.0 if n is None else np.array(self._shift)


@pytest.fixture(scope="module")
def slices():
    return noise(3, [0, 1])


WHOLE, CROP = 1.0, 0.0
# bicubic weights sum to 1 and their absolute values to 1.375 at most along an axis (Keys' kernel, a = -0.75)
BICUBIC_OVERSHOOT = (1.375**2 - 1) / 2


@pytest.mark.parametrize("size", [512, 256, 128, 64])
def test_whole_slice_left_alone_is_the_block_mean(slices, size):
    k = 512 // size
    means = slices.hu[0].astype(np.float64).reshape(size, k, size, k).mean((1, 3))
    drawn = slices.draw(Scripted(), size, WHOLE)
    assert drawn.shape == (1, size, size)
    np.testing.assert_allclose(drawn[0], means, atol=0.1)
    np.testing.assert_allclose(slices.whole(size)[0, 0], means, atol=0.1)
    np.testing.assert_allclose(slices.draw(Scripted(mirrored=True), size, WHOLE)[0], means[:, ::-1], atol=0.1)


def test_crop_left_alone_is_the_slice_itself(slices):
    np.testing.assert_allclose(slices.draw(Scripted(), 256, CROP)[0], slices.hu[0][128:384, 128:384], atol=0.1)
    # by 64 of 512 columns to the right and 32 rows up
    shifted = slices.draw(Scripted(shift=(64 / 256, -32 / 256)), 256, CROP)[0]
    np.testing.assert_allclose(shifted, slices.hu[0][96:352, 192:448], atol=0.1)


def test_four_whole_slices_side_by_side():
    """Each on pixels twice as wide: as drawn by themselves, one after the other."""
    slices = noise(4, [0, 1, 2, 3], seed=3)
    drawn = slices.draw(np.random.default_rng(5), 128, CROP, 1.0)
    rng = np.random.default_rng(5)
    rng.random()  # that it is to be four
    first, second, third, fourth = (slices.draw(rng, 64, WHOLE) for _ in range(4))
    expected = torch.cat([torch.cat([first, second], -1), torch.cat([third, fourth], -1)], -2)
    assert torch.equal(drawn, expected)


def test_without_fours_images_are_those_of_before():
    slices = noise(4, [0, 1, 2, 3], seed=3)
    images = [slices.batch((7,), 3, 64, 0.5, *share) for share in ((), (0.0,))]
    assert torch.equal(*images)


def test_outside_the_slice_is_air(slices):
    drawn = slices.draw(Scripted(shift=(1.0, 0.0)), 256, CROP)[0]
    np.testing.assert_allclose(drawn[:, 132:], -1000.0, atol=0.1)
    assert drawn[:, :120].std() > 100


def test_turned_and_scaled_images_keep_their_tissue():
    y, x = np.mgrid[:512, :512] - 255.5
    hu = np.where(x**2 + y**2 < 150**2, 40, -1000).astype(np.int16)[None]
    disk = TrainingSlices(hu, np.zeros(1, int), ("a",), "x")
    for size, share, radius in ((256, WHOLE, 75), (256, CROP, 150)):
        for k in range(6):
            drawn = disk.draw(np.random.default_rng(k), size, share)
            if share == WHOLE:  # a crop may leave some of the disk outside
                area = float((drawn + 1000).sum() / 1040)
                # 1 / scale from exp(-0.15) to exp(0.2)
                assert math.exp(-0.3) < area / (math.pi * radius**2) < math.exp(0.4)
            overshoot = 0.0 if share == WHOLE else BICUBIC_OVERSHOOT * 1040
            assert -1000.1 - overshoot < drawn.min() < -980
            assert 30 < drawn.max() < 40.1 + overshoot


def test_large_scans_do_not_dominate():
    patients = np.array([0] * 100 + [1])
    slices = TrainingSlices(np.zeros((101, 512, 512), np.int16), patients, ("a", "b"), "x")
    slices.hu[100] = 500
    drawn = slices.batch((0,), 200, 16, 1.0)
    share = float((drawn.amax(dim=(1, 2, 3)) > 100).float().mean())
    assert 0.03 < share < 0.16  # sqrt(1) / (sqrt(100) + sqrt(1)) = 0.09


def test_every_slice_of_a_patient_is_drawn():
    hu = (np.arange(12)[:, None, None] * 100 * np.ones((1, 512, 512))).astype(np.int16)
    slices = TrainingSlices(hu, np.repeat([7, 3], 6), ("a", "b"), "x")  # numbers need be neither ordered nor from 0
    drawn = slices.batch((0,), 200, 16, 0.0)[:, 0, 8, 8]
    assert set((drawn / 100).round().int().tolist()) == set(range(12))


def test_same_seed_same_images(slices):
    first = slices.batch((1, 2), 3, 64, 0.5)
    assert torch.equal(first, slices.batch((1, 2), 3, 64, 0.5))
    assert not torch.equal(first, slices.batch((1, 3), 3, 64, 0.5))


def test_shared_patients_are_refused():
    with pytest.raises(UsageError, match="1 patients are in both"):
        noise(4, [0, 1]).check_apart(TrainingSlices(np.zeros((1, 512, 512), np.int16), np.zeros(1, int), ("0-1",), "y"))


# ---------------------------------------------------------------- batches made ahead


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_batches_are_those_of_their_steps(slices, workers):
    expected = [slices.batch((5, step), 2, 32, 0.5) for step in range(7)]
    stream = slices.batches((5,), 2, 32, 0.5, workers=workers)
    for step in range(5):
        assert torch.equal(next(stream), expected[step])
    stream.close()
    resumed = slices.batches((5,), 2, 32, 0.5, first_step=4, workers=workers)
    for step in (4, 5, 6):
        assert torch.equal(next(resumed), expected[step])
    resumed.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_streaming_leaves_the_random_numbers_of_training_alone(slices, workers):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    stream = slices.batches((5,), 1, 16, 1.0, workers=workers)
    next(stream)
    assert torch.equal(torch.rand(4), expected)
    stream.close()


def _fails_at_two(step):
    if step == 2:
        raise DatasetError("shard 2 is gone")
    return torch.tensor([step])


@pytest.mark.parametrize("workers", [0, 2])
def test_error_of_a_worker_arrives_as_it_was(workers):
    stream = stream_batches(_fails_at_two, 0, workers)
    assert [int(next(stream)) for _ in range(2)] == [0, 1]
    with pytest.raises(DatasetError, match=r"\Ashard 2 is gone\Z"):
        next(stream)


@settings(max_examples=20, deadline=None)
@given(
    size=st.sampled_from([16, 48, 64, 96]),
    seed=st.lists(st.integers(0, 2**32 - 1), max_size=3),
    whole_share=st.floats(0, 1),
)
def test_images_stay_near_the_range_of_the_slices(slices, size, seed, whole_share):
    drawn = slices.batch(seed, 1, size, whole_share)
    assert drawn.shape == (1, 1, size, size)
    assert torch.isfinite(drawn).all()
    assert drawn.min() > -1000 - BICUBIC_OVERSHOOT * 4000
    assert drawn.max() < 3000 + BICUBIC_OVERSHOOT * 4000
