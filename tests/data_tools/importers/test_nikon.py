"""Nikon: settings by hand, pictures by tifffile."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from ctresample.data_tools.importers import import_sinogram
from ctresample.errors import SinogramError
from ctresample.geometry import ConeBeam

SETTINGS = """[XTekCT]
Name=rod
Projections=40
DetectorPixelsX=48
DetectorPixelsY=4
DetectorPixelSizeX=2.0
DetectorPixelSizeY=2.0
SrcToObject=200
SrcToDetector=400
InitialAngle=-12.5
AngularStep=9.0
WhiteLevel=60000
"""
MU = 0.02


@pytest.fixture(scope="module")
def scan(tmp_path_factory, phantoms):
    """A ball of water above the plane of the source, in 16-bit pictures whose rows run down."""
    folder = tmp_path_factory.mktemp("nikon")
    geometry = ConeBeam(
        -np.radians(-12.5 + 9 * np.arange(40)),
        48,
        2.0,
        source_to_axis_mm=200.0,
        source_to_detector_mm=400.0,
        n_detector_rows=4,
        detector_row_pitch_mm=2.0,
    )
    ball = phantoms.Sphere(MU, (3.0, -2.0, 0.8), 16.0)
    values = phantoms.cone_integrals(geometry, [ball])
    for view in range(40):
        counts = np.rint(60000 * np.exp(-values[::-1, view])).astype(np.uint16)
        tifffile.imwrite(folder / f"rod_{view + 1:04d}.tif", counts)
    (folder / "rod.xtekct").write_text(SETTINGS)
    (folder / "rod.json").write_text('{"mu_water_per_mm": 0.02, "geometry": {"angle_direction": "clockwise"}}')
    return folder, geometry, values


def test_water_has_its_hu(scan):
    from ctresample import reconstruct

    folder, geometry, values = scan
    read = import_sinogram(folder / "rod.xtekct")
    np.testing.assert_allclose(read.values, values, atol=1e-3)
    np.testing.assert_allclose(read.geometry.angles_rad, geometry.angles_rad)
    hu = reconstruct(read, method="fbp", window="ramp").image_hu
    z, y, x = read.grid.axes_mm
    inside = (x - 3) ** 2 + (y[:, None] + 2) ** 2 < 6**2
    assert hu[np.argmin(np.abs(z - 0.5))][inside].mean() == pytest.approx(0, abs=3)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("SrcToObject=200\n", "", "no SrcToObject"),
        ("AngularStep=9.0", "AngularStep=fast", "AngularStep is 'fast'"),
        ("AngularStep=9.0", "AngularStep=0", "AngularStep is 0"),
        ("Projections=40", "Projections=41", "41 Projections, and 40 files"),
        ("DetectorPixelsX=48", "DetectorPixelsX=50", "expected 4 x 50"),
        ("WhiteLevel=60000", "WhiteLevel=-1", "WhiteLevel"),
        ("SrcToObject=200", "SrcToObject=200\nSrcToObject=20", "says srctoobject twice"),
    ],
)
def test_settings_that_contradict_or_lack(scan, before, after, said):
    folder = scan[0]
    (folder / "bad.xtekct").write_text(SETTINGS.replace(before, after))
    with pytest.raises(SinogramError, match=said):
        import_sinogram(folder / "bad.xtekct", sidecar=folder / "rod.json")
