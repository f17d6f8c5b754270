"""Planes of voxels against the projector's weights of every ray."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.geometry import ConeBeam, VolumeGrid
from ctresample.operators import StreamedProjector
from ctresample.pipelines.cone_view import line_integrals


@pytest.mark.parametrize(
    ("grid", "row_pitch_mm"),
    [
        (VolumeGrid((6, 20, 24), 2.0, 3.0), 4.0),
        (VolumeGrid((12, 9, 7), 2.0, 1.0, (3.0, -2.0, 4.0)), 3.0),
        (VolumeGrid((10, 8, 8), 2.0, 2.0), 30.0),  # rays steeper than 45 degrees
    ],
    ids=["flat", "off centre", "steep"],
)
def test_same_as_the_projector(grid, row_pitch_mm):
    geometry = ConeBeam(
        tuple(np.linspace(0, 6, 7)),
        30,
        3.5,
        source_to_axis_mm=60.0,
        source_to_detector_mm=110.0,
        axis_offset_mm=1.5,
        detector_offset_mm=-4.0,
        n_detector_rows=11,
        detector_row_pitch_mm=row_pitch_mm,
    )
    mu = torch.rand(grid.shape, generator=torch.Generator().manual_seed(0))
    expected = StreamedProjector(geometry, grid)(mu[None, None])[0, 0]
    for view in range(geometry.n_views):
        found = line_integrals(mu, grid, geometry, view)
        assert found.numpy() == pytest.approx(expected[:, view].numpy(), abs=2e-4 * float(expected.max()))
