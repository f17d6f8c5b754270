"""The small picture of a result."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ctresample.pipelines.batch.preview import write_preview


def test_volumes_side_by_side_with_their_planes(tmp_path):
    hu = np.full((10, 384, 384), -1000, np.float32)
    hu[-1] = 1000  # at the head
    write_preview(tmp_path / "three.png", [hu, hu], (4.0, 1.0, 1.0))
    with Image.open(tmp_path / "three.png") as opened:
        picture = np.asarray(opened)
    assert picture.shape == (192 + 20 + 20, 2 * 192)  # 384 x 384 mm and twice 40 x 384 mm, at 2 mm a pixel
    assert set(np.flatnonzero((picture == 255).all(1))) == {192, 193, 212, 213}
    write_preview(tmp_path / "one.png", [hu, hu])
    with Image.open(tmp_path / "one.png") as opened:
        assert opened.size == (2 * 192, 192)
