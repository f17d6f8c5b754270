"""Results have UIDs of their own whatever they differ in, and the same UIDs where they do not."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
from pydicom import dcmread

from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.results.images import write_images
from ctresample.pipelines.scan.scan import Scan
from ctresample.volume import Volume

SOURCE = {
    tag: {"vr": "UI", "Value": [uid]}
    for tag, uid in (("00080018", "1.2.3"), ("0020000D", "1.2.4"), ("0020000E", "1.2.5"), ("00080016", "1.2.6"))
}
SCAN = Scan(n_views=6, beam="fan", size=16)


def uids(place, scan, **options):
    volume = Volume(np.zeros((1, 16, 16), np.float32), np.diag([9.0, 9.0, 3.0, 1.0]), (SOURCE,))
    sinogram = scan.scan(volume)
    write_images(place, reconstruct(sinogram, method="fbp", **options))
    dataset = dcmread(place / "dicom" / "0001.dcm")
    return dataset.SeriesInstanceUID, dataset.SOPInstanceUID


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"arc_rad": "short"}, {}),
        ({"arc_rad": pi}, {}),
        ({"detector_offset_mm": 1.0}, {}),
        ({"axis_offset_mm": 1.0}, {}),
        ({"source_to_axis_mm": 700.0}, {}),
        ({"beam": "fan-curved"}, {}),
        ({"n_views": 7}, {}),
        ({}, {"window": "ramp"}),
        ({}, {}),
    ],
    ids=str,
)
def test_uids_follow_from_all_that_shapes_the_image(tmp_path, changes, options):
    before, after = uids(tmp_path / "a", SCAN), uids(tmp_path / "b", replace(SCAN, **changes), **options)
    same = not (changes or options)
    assert [a == b for a, b in zip(before, after, strict=True)] == [same, same]
