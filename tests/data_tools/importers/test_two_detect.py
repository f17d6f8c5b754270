"""2DeteCT folders, written by tifffile; and flat fields before and after a scan."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from ctresample import reconstruct
from ctresample.data_tools.importers import import_sinogram
from ctresample.errors import SinogramError
from ctresample.geometry import FanBeam

MU, DARK, OPEN = 0.02, 100, 20_000
CENTRE, RADIUS = (6.0, -9.0), 25.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory, phantoms):
    """A disc of water, in the published scanner's own bins; of its 3,601 views the last is the first."""
    place = tmp_path_factory.mktemp("2detect") / "mode2"
    place.mkdir()
    angles = np.linspace(0, 2 * np.pi, 3601)
    scan = FanBeam(angles, 1912, 0.0748, source_to_axis_mm=431.019989, source_to_detector_mm=529.000488)
    values = phantoms.line_integrals(scan, [phantoms.disk(MU, CENTRE, RADIUS)])
    gain = 1 + 0.1 * np.sin(np.arange(1912))
    tifffile.imwrite(place / "sinogram.tif", np.rint(DARK + OPEN * gain * np.exp(-values)).astype(np.uint16))
    tifffile.imwrite(place / "dark.tif", np.full((1, 1912), DARK, np.uint16))
    for name, drift in (("flat1.tif", 0.99), ("flat2.tif", 1.01)):
        tifffile.imwrite(place / name, np.rint(DARK + drift * OPEN * gain).astype(np.uint16)[None])
    sidecar = place.parent / "mode2.json"
    image = {"rows": 64, "columns": 64, "pixel_size_mm": 1.0}
    sidecar.write_text(
        json.dumps({"mu_water_per_mm": MU, "image": image, "geometry": {"angle_direction": "counterclockwise"}})
    )
    return place


def test_water_has_its_hu(folder):
    notes: list[str] = []
    read = import_sinogram(folder, on_note=notes.append)
    assert read.geometry.shape == (3600, 956)
    assert any("the last view, which is the first again" in note for note in notes)
    y, x = read.grid.axes_mm
    inside = (x - CENTRE[0]) ** 2 + (y[:, None] - CENTRE[1]) ** 2 < 15**2
    hu = reconstruct(read.every(20), method="fbp", window="ramp").image_hu[0]
    assert hu[inside].mean() == pytest.approx(0, abs=3)


@pytest.mark.parametrize("name", ["dark.tif", "flat1.tif", "flat2.tif"])
def test_a_missing_field_is_named(folder, name):
    (folder / name).rename(folder / "away")
    try:
        with pytest.raises(SinogramError, match=f"has no {name}"):
            import_sinogram(folder)
    finally:
        (folder / "away").rename(folder / name)


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("sinogram.tif", (3600, 1912), "sinogram.tif has 3600 views; expected 3601"),
        ("flat2.tif", (1, 1910), r"flat2.tif has shape \(1, 1, 1910\)"),
    ],
)
def test_another_size_is_named(folder, tmp_path, name, shape, said):
    for one in ("sinogram.tif", "dark.tif", "flat1.tif", "flat2.tif"):
        (tmp_path / one).symlink_to(folder / one)
    (tmp_path / name).unlink()
    tifffile.imwrite(tmp_path / name, np.ones(shape, np.uint16))
    with pytest.raises(SinogramError, match=said):
        import_sinogram(tmp_path)


def test_a_beam_that_fades_is_followed(tmp_path):
    """Flat fields before and after the scan; of a view that is left out, the others keep their time."""
    truth = np.random.default_rng(1).uniform(0, 2, (5, 8))
    beam = np.linspace(2000, 1000, 5)[:, None]
    arrays = {"views": 50 + beam * np.exp(-truth), "before": np.full(8, 2050.0), "after": np.full((2, 8), 1050.0)}
    np.savez(tmp_path / "a.npz", **arrays, dark=np.full(8, 50.0))
    said = {
        "quantity": "counts",
        "axes": "view,detector",
        "geometry": {"type": "parallel", "angles_deg": [0, 36, 72, 108, 144], "detector_pitch_mm": 1},
        "mu_water_per_mm": MU,
        "array": "views",
        "flat_array": "before",
        "flat_after_array": "after",
        "dark_array": "dark",
        "bad_views": [1],
    }
    (tmp_path / "a.json").write_text(json.dumps(said))
    np.testing.assert_allclose(import_sinogram(tmp_path / "a.npz").values[0], truth[[0, 2, 3, 4]], atol=1e-5)
    del said["flat_array"]
    (tmp_path / "a.json").write_text(json.dumps(said))
    with pytest.raises(SinogramError, match="add flat_array"):
        import_sinogram(tmp_path / "a.npz")
