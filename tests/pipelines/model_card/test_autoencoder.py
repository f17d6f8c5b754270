"""The autoencoder measured: whole slices at both sizes, with errors that were put there."""

import numpy as np
import pytest
import torch
from bodies import PixelPrior

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.pipelines.model_card.autoencoder import latent_pixel, measure_autoencoder, round_trip, whole_batches


def quarters() -> TrainingSlices:
    """Two slices of two patients: a quarter each of air, lung, soft tissue and bone."""
    hu = np.empty((2, 512, 512), np.int16)
    hu[:, :256, :256], hu[:, :256, 256:], hu[:, 256:, :256], hu[:, 256:, 256:] = -1000, -700, 50, 1000
    return TrainingSlices(hu, np.arange(2), ("a", "b"), "d")


@pytest.mark.parametrize("size", [64, 512])
def test_error_of_each_tissue(size):
    prior = PixelPrior(error_hu=lambda hu: 15.0 * (hu > 0) - 40.0 * (hu < -600) * (hu > -900))
    found = measure_autoencoder(prior, quarters(), "validation", size)
    errors = {error.region.name: error for error in found.regions}
    assert (found.n_slices, found.n_patients, found.size) == (2, 2, size)
    for tissue, bias in (("air", 0), ("lung", -40), ("soft tissue", 15), ("bone", 15)):
        assert errors[tissue].bias_hu == pytest.approx(bias, abs=1e-3)
        assert errors[tissue].rmse_hu == pytest.approx(abs(bias), abs=1e-3)
        assert errors[tissue].share == pytest.approx(0.25)
        assert errors[tissue].patient_sd_hu == pytest.approx(0, abs=1e-3)


def test_checkerboard_of_a_decoder():
    def board(hu):
        i = torch.arange(hu.shape[-1])
        return 20.0 * (1 - 2 * ((i[:, None] + i) % 2))

    assert measure_autoencoder(PixelPrior(), quarters(), "v", 64).checkerboard.pattern_hu < 1
    found = measure_autoencoder(PixelPrior(error_hu=board), quarters(), "v", 64).checkerboard
    assert found.pattern_hu == pytest.approx(20, rel=0.1)
    assert found.frequency == (0.5, 0.5)


def test_metal_is_clipped_before_encoding():
    image = round_trip(PixelPrior(), torch.full((1, 1, 64, 64), 9000.0))
    assert image.unique().tolist() == [2000.0]


def test_latent_pixel_and_batches():
    assert latent_pixel(PixelPrior(), 64) == 4
    slices = quarters()
    batches = list(whole_batches(slices, 64, 1))
    assert torch.equal(torch.cat(batches), slices.whole(64))
