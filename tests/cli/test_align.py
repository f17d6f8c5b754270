"""``ctresample align``."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.sinogram import Sinogram


def test_the_command_writes_the_offset_and_a_picture(cli, phantoms, tmp_path):
    scan = ParallelBeam(np.arange(30) * 2 * math.pi / 30, 48, 2.0)
    disks = [phantoms.disk(0.02, (4.0, -6.0), 30.0), phantoms.disk(0.02, (15.0, 0.0), 8.0)]
    values = phantoms.line_integrals(replace(scan, detector_offset_mm=6.0), disks)
    write_sinogram(Sinogram(values[None], scan, ImageGrid((48, 48), 2.0), np.eye(4), photons=1e5), tmp_path / "scan.h5")
    done = cli("align", tmp_path / "scan.h5", "-o", tmp_path / "new.h5", "--figure", tmp_path / "axis.png")
    assert done.exit_code == 0, done.output
    new = read_sinogram(tmp_path / "new.h5")
    assert new.geometry.detector_offset_mm == pytest.approx(6.0, abs=0.2)
    assert "axis aligned by" in new.origin
    assert (tmp_path / "axis.png").read_bytes()[:4] == b"\x89PNG"
    refused = cli("align", tmp_path / "scan.h5", "--calibrate")
    assert refused.exit_code == 2 and "--calibrate is of helical scans" in refused.stderr
    again = cli("align", tmp_path / "scan.h5", "-o", tmp_path / "new.h5")
    assert again.exit_code == 1 and "exists" in again.stderr
