"""What a denoiser of scans says of scans that it was not trained on."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from ctresample.errors import PriorError
from ctresample.geometry import ConeBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.trained_scans import TrainedScans
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.sinogram import Sinogram
from ctresample.solvers.itnet import ItNetSettings
from ctresample.testing.priors import random_prior

SEEN = TrainedScans((12, 90), (1e4, 1e6), ("parallel", "fan"))


def scan(n_views=25, photons=1e5, size=16):
    angles = np.linspace(0, np.pi, n_views, endpoint=False)
    geometry = ParallelBeam(angles, n_detectors=24, detector_pitch_mm=2.0)
    values = np.full((1, n_views, 24), 0.1, np.float32)
    return Sinogram(values, geometry, ImageGrid((size, size), pixel_size_mm=2.0), np.eye(4), photons=photons)


@pytest.mark.parametrize("n_views", [12, 25, 90])
@pytest.mark.parametrize("photons", [1e4, 1e6, None, np.full((1, 24), 1e5, np.float32)])
def test_a_scan_like_those_seen(n_views, photons):
    if isinstance(photons, np.ndarray):
        photons = np.repeat(photons, n_views, 0)
    assert SEEN.beyond(scan(n_views, photons)) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (scan(11), "of 11 views, is beyond .*parallel and fan beams, 12 to 90 views, 1e\\+04 to 1e\\+06 photons"),
        (scan(91), "91 views"),
        (scan(photons=9e3), "of 9e\\+03 photons a ray"),
        (scan(180, 1e7), "of 180 views and 1e\\+07 photons a ray"),
    ],
)
def test_a_scan_beyond_them(given, said):
    assert re.search(said, SEEN.beyond(given))


def test_a_limited_angle():
    whole = scan()
    narrow = replace(whole, geometry=whole.geometry.with_angles(np.linspace(0, np.radians(120), 25)))
    assert "of a limited angle" in SEEN.beyond(narrow)


def test_another_beam():
    grid = VolumeGrid((4, 16, 16), 2.0, 2.0)
    cone = ConeBeam.for_grid(grid, 25)
    given = Sinogram(np.zeros(cone.shape, np.float32), cone, grid, np.eye(4))
    assert "of a cone beam, is beyond" in SEEN.beyond(given)


@pytest.fixture
def prior():
    known = random_prior(condition_spread=0.3)
    return LatentPrior(known.vae, known.unet, known.scheduler, replace(known.config, condition_scans=SEEN))


@pytest.mark.parametrize(("n_views", "doubts"), [(25, 0), (10, 1)])
def test_the_result_says_so_where_the_denoiser_of_scans_is_used(prior, n_views, doubts):
    result = reconstruct(scan(n_views), method="itnet", settings=ItNetSettings(1), prior=prior)
    assert sum("is beyond those" in doubt for doubt in result.doubts) == doubts
    assert not any("is beyond those" in doubt for doubt in reconstruct(scan(n_views), method="tv").doubts)


def test_it_comes_back_from_a_file(prior, tmp_path):
    prior.save_pretrained(tmp_path / "p")
    assert LatentPrior.from_pretrained(tmp_path / "p").config.condition_scans == SEEN
    config = tmp_path / "p" / "prior.json"
    config.write_text(config.read_text().replace('"parallel"', "{").replace("12,", "-1,"))
    with pytest.raises(PriorError, match="cannot be used"):
        LatentPrior.from_pretrained(tmp_path / "p")


def test_the_bundled_one_knows_its_scans():
    assert LatentPrior.from_pretrained("ct256").config.condition_scans.n_views == (12, 90)
