"""Ten small patients, their scans, and a calibration made of them by filtered back projection."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctresample.pipelines.calibration.known import Known, KnownScans
from ctresample.pipelines.calibration.make import make_calibration
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.scan import Scan
from ctresample.volume import Volume

SIZE = 64
SCAN = Scan(n_views=20, size=SIZE, photons=1e4)


def body(generator: np.random.Generator) -> Volume:
    """An oval with two lungs, a rim of fat and a spine, somewhat different every time."""
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE * 2 - 1
    wide, high = generator.uniform(0.7, 0.85), generator.uniform(0.5, 0.65)
    hu = np.full((SIZE, SIZE), -1000.0)
    hu[(x / wide) ** 2 + (y / high) ** 2 < 1] = -100
    hu[(x / (wide - 0.12)) ** 2 + (y / (high - 0.12)) ** 2 < 1] = generator.uniform(20, 60)
    for side in (-0.35, 0.35):
        hu[((x - side) / 0.18) ** 2 + ((y - generator.uniform(-0.1, 0.1)) / 0.25) ** 2 < 1] = -800
    hu[np.hypot(x, y - 0.3) < generator.uniform(0.1, 0.15)] = 500
    return Volume(hu[None].astype(np.float32), np.diag([5.0, 5.0, 3.0, 1.0]))


def known_scans(seed: int, n: int, per_patient: int = 2, scan: Scan = SCAN) -> KnownScans:
    def make():
        generator = np.random.default_rng(seed)
        for k in range(n * per_patient):
            volume = body(generator)
            yield Known(scan.scan(volume, seed=seed + k), scanned(volume, SIZE).hu, str(k // per_patient))

    return KnownScans(n * per_patient, make)


def by_fbp(sinogram, first=0):
    return reconstruct(sinogram, method="fbp")


@pytest.fixture(scope="session")
def calibration():
    return make_calibration(known_scans(0, 10), by_fbp, model=None)


@pytest.fixture(scope="session")
def calibration_file(calibration, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("calibration") / "fbp.json"
    calibration.save(path)
    return path


@pytest.fixture(scope="session")
def sinogram():
    (known,) = known_scans(77, 1, 1).make()
    return replace(known.sinogram)
