"""Errors sorted by tissue, against images whose error in each tissue is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ctresample.pipelines.model_card.tissues import REGIONS, error_sums, region_errors

KNOWN = {
    "air": (-1000, 5.0),
    "lung": (-800, -30.0),
    "fat": (-100, 12.0),
    "soft tissue": (40, -7.0),
    "bone": (900, 80.0),
}


def stripes() -> tuple[torch.Tensor, torch.Tensor]:
    """A stripe of each tissue, and the same with that tissue's own error."""
    truth = torch.tensor([hu for hu, _ in KNOWN.values()]).float().repeat_interleave(4).expand(1, 1, 6, -1)
    error = torch.tensor([error for _, error in KNOWN.values()]).repeat_interleave(4).expand_as(truth)
    return truth, truth + error


def errors(truth, image, patients):
    return {error.region.name: error for error in region_errors(error_sums(truth, image), np.array(patients))}


def test_each_tissue_has_its_own_error():
    found = errors(*stripes(), [0])
    for tissue, (_, error) in KNOWN.items():
        assert found[tissue].rmse_hu == pytest.approx(abs(error))
        assert found[tissue].bias_hu == pytest.approx(error)
        assert found[tissue].share == pytest.approx(0.2)
        assert math.isnan(found[tissue].patient_sd_hu)
    assert found["all pixels"].share == 1
    assert found["all pixels"].rmse_hu == pytest.approx(np.sqrt(np.mean([e**2 for _, e in KNOWN.values()])))


def test_metal_counts_in_all_pixels_alone():
    truth = torch.full((1, 1, 2, 2), 40.0)
    truth[0, 0, 0, 0] = 2500
    found = errors(truth, truth - 100 * (truth > 2000), [0])
    assert found["-1000 to 1500 HU"].rmse_hu == found["bone"].share == 0
    assert found["all pixels"].rmse_hu == pytest.approx(50)
    assert math.isnan(found["bone"].rmse_hu)


def test_spread_is_over_patients_not_slices():
    truth = torch.full((3, 1, 2, 2), 40.0)
    image = truth + torch.tensor([10.0, -10.0, 30.0]).view(3, 1, 1, 1)
    found = errors(truth, image, [7, 7, 2])["soft tissue"]
    assert found.patient_sd_hu == pytest.approx(np.std([10, 30], ddof=1))
    assert found.bias_hu == pytest.approx(10)


@given(st.floats(-1000, 3000), st.integers(0, 4))
def test_tissues_do_not_overlap(hu, seed):
    inside = [region.name for region in REGIONS[:-2] if region.low_hu <= hu < region.high_hu]
    assert len(inside) <= 1
    assert REGIONS[-1].low_hu <= hu < REGIONS[-1].high_hu
