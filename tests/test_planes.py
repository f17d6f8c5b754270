"""Planes of a volume: the right voxels, the right way up, in the patient's proportions."""

from __future__ import annotations

import numpy as np

from ctresample.planes import last_is_up, planes, voxel_size_mm


def test_a_volume_in_its_proportions():
    hu = np.arange(4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    voxel = voxel_size_mm(affine, None)
    assert voxel == (3.0, 2.0, 1.0)
    found = planes(hu, voxel, last_up=last_is_up(affine))
    assert {name: plane.shape for name, plane in found.items()} == {
        "axial": (12, 8),  # 12 x 8 mm
        "coronal": (12, 8),
        "sagittal": (12, 12),
    }
    np.testing.assert_array_equal(found["coronal"][[0, 1, 2, -1]], hu[[3, 3, 3, 0], 3])  # the head is up
    np.testing.assert_array_equal(found["sagittal"][-1], np.repeat(hu[0, :, 4], 2))
    affine[2, 2] = -3
    assert not last_is_up(affine)
    np.testing.assert_array_equal(planes(hu, voxel, last_up=False)["coronal"][0], hu[0, 3])


def test_thin_slices_are_never_stretched():
    assert planes(np.zeros((9, 4, 4)), (0.5, 1.0, 1.0))["coronal"].shape == (4, 4)  # 4.5 mm
    assert planes(np.zeros((2, 4, 4)), (0.1, 1.0, 1.0))["coronal"].shape == (1, 4)


def test_slices_that_are_no_volume_have_one_plane():
    hu = np.arange(3 * 4 * 4).reshape(3, 4, 4)
    assert voxel_size_mm(np.eye(4), (0.0, 1.0, 3.0)) is None
    for stack, voxel in ((hu, None), (hu[:1], (1.0, 1.0, 1.0)), (hu, (42.5, 1.0, 1.0))):
        (only,) = planes(stack, voxel).items()
        assert only[0] == "axial"
        np.testing.assert_array_equal(only[1], stack[len(stack) // 2])
