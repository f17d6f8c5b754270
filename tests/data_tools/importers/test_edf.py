"""EDF: written by fabio, by whose maker the format is kept; and by hand, damaged."""

from __future__ import annotations

import numpy as np
import pytest

from ctresample.data_tools.importers import import_sinogram
from ctresample.data_tools.importers.edf import read_edf
from ctresample.errors import SinogramError

FRAMES = np.random.default_rng(3).integers(0, 200, (3, 4, 5))
LEAST = {
    "quantity": "line_integral",
    "axes": "view,slice,detector",
    "geometry": {
        "type": "parallel",
        "angles_deg": [0, 60, 120],
        "detector_pitch_mm": 1,
        "angle_direction": "clockwise",
    },
    "mu_water_per_mm": 0.02,
    "slice_step_mm": 1,
    "photons": None,
}


def quiet(message: str) -> None:
    pass


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_what_fabio_writes(tmp_path, dtype):
    edfimage = pytest.importorskip("fabio.edfimage")
    image = edfimage.EdfImage(data=FRAMES[0].astype(dtype))
    for frame in FRAMES[1:]:
        image.append_frame(data=frame.astype(dtype))
    image.write(str(tmp_path / "a.edf"))
    np.testing.assert_array_equal(read_edf(tmp_path / "a.edf", {}, quiet).values, FRAMES)


def by_hand(frame: np.ndarray, more: str = "") -> bytes:
    head = "{\nHeaderID = EH:000001 ;\nByteOrder = HighByteFirst ;\nDataType = UnsignedShort ;\n"
    head += f"Dim_1 = {frame.shape[1]} ;\nDim_2 = {frame.shape[0]} ;\n{more}"
    return head.ljust(510).encode() + b"}\n" + frame.astype(">u2").tobytes()


def test_a_folder_with_fields(tmp_path):
    import json

    place = tmp_path / "scan"
    place.mkdir()
    for number, frame in enumerate(FRAMES):
        (place / f"view_{[2, 10, 9][number]}.edf").write_bytes(by_hand(frame + 300))
    (place / "ref.edf").write_bytes(by_hand(np.full((4, 5), 1000)))
    (place / "dark.edf").write_bytes(by_hand(np.full((4, 5), 100)))
    said = LEAST | {"quantity": "counts", "flat_array": "ref", "dark_array": "dark"}
    (tmp_path / "scan.json").write_text(json.dumps(said))
    values = import_sinogram(place).values
    expected = -np.log((FRAMES[[0, 2, 1]] + 200) / 900)
    np.testing.assert_allclose(values, expected.swapaxes(0, 1), rtol=1e-5)


BAD = {
    "cut short": (by_hand(FRAMES[0])[:-3], "40 bytes, 37 are there"),
    "compressed": (by_hand(FRAMES[0], "Compression = ZCompression ;\n"), "compressed"),
    "other numbers": (by_hand(FRAMES[0]).replace(b"UnsignedShort", b"StringOfPearl"), "DataType"),
    "other order": (by_hand(FRAMES[0]).replace(b"HighByteFirst", b"MiddleEndian "), "ByteOrder is 'MiddleEndian"),
    "no size": (by_hand(FRAMES[0]).replace(b"Dim_1 = 5", b"Dim_1 = x"), "Dim_1"),
    "no header": (by_hand(FRAMES[0]) + b"rubbish", "no header at byte"),
    "absurd": (by_hand(FRAMES[0]).replace(b"Dim_1 = 5 ", b"Dim_1 = 999999 "), "cut short"),
    "empty": (b"", "cannot be read"),
}


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD.keys())
def test_damaged_files(tmp_path, content, said):
    (tmp_path / "a.edf").write_bytes(content)
    with pytest.raises(SinogramError, match=said):
        read_edf(tmp_path / "a.edf", {}, quiet)
