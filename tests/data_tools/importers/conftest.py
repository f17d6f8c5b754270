"""A small measured scan, described in full."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest

VIEWS, DETECTORS = 6, 5
FAN = {
    "quantity": "line_integral",
    "axes": "view,detector",
    "geometry": {
        "type": "fan",
        "detector_shape": "flat",
        "angles_deg": {"start_deg": 0, "stop_deg": 360, "n_views": VIEWS, "endpoint": False},
        "angle_direction": "counterclockwise",
        "detector_pitch_mm": 2.0,
        "source_to_axis_mm": 100.0,
        "source_to_detector_mm": 200.0,
    },
    "mu_water_per_mm": 0.02,
    "photons": 1e4,
    "slice_step_mm": 3.0,
    "image": {"rows": 4, "columns": 6, "pixel_size_mm": 1.0},
}


@pytest.fixture
def scan():
    values = np.random.default_rng(3).uniform(0, 4, (VIEWS, DETECTORS)).astype(np.float32)
    return SimpleNamespace(values=values, facts=copy.deepcopy(FAN))
