"""FBP and a U-Net: what the network is given and gives, and every scan and file that it is not for."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from ctresample.errors import PriorError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.learned.image_unet import ImageUNet, ImageUNetConfig
from ctresample.solvers.fbp import fbp
from ctresample.solvers.fbp_unet import fbp_unet
from ctresample.units import mu_to_hu

GRID = ImageGrid((16, 16), 8.0)
SCAN = ParallelBeam.for_grid(GRID, 9)
CONFIG = ImageUNetConfig(
    name="toy",
    n_views=9,
    arc_rad=math.pi,
    beam="parallel",
    image_size=16,
    photons=(1e5, 1e5),
    window="cosine",
    channels=(4, 8),
    provenance={"data": "none"},
)


@pytest.fixture
def network() -> ImageUNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ImageUNet(CONFIG)
        torch.nn.init.normal_(network.leave.weight, std=0.05)
    return network.half().float()  # as it will be kept


@pytest.fixture
def y(phantoms) -> torch.Tensor:
    line_integrals = phantoms.line_integrals(SCAN, phantoms.head(GRID))
    return phantoms.as_batch(line_integrals, 0.5 * line_integrals)


def test_an_untrained_network_leaves_the_image_as_it_is(y):
    assert torch.allclose(fbp_unet(y, SCAN, GRID, ImageUNet(CONFIG)), fbp(y, SCAN, GRID, window="cosine"), atol=1e-7)


def test_the_network_is_given_hu_and_gives_them(y, network):
    """With another attenuation of water and as much of everything else, the same HU."""
    once = mu_to_hu(fbp_unet(y, SCAN, GRID, network, mu_water_per_mm=0.02), 0.02)
    twice = mu_to_hu(fbp_unet(2 * y, SCAN, GRID, network, mu_water_per_mm=0.04), 0.04)
    assert torch.allclose(once, twice, atol=0.05)
    before = mu_to_hu(fbp(y, SCAN, GRID, window="cosine"), 0.02)
    assert (once - before).abs().max() > 10
    assert torch.allclose(once, network(before), atol=0.05)


def test_batch_of_two_is_the_two_alone(y, network, phantoms):
    together = fbp_unet(y, SCAN, GRID, network)
    assert phantoms.relative(together, torch.cat([fbp_unet(one[None], SCAN, GRID, network) for one in y])) < 1e-5


@pytest.mark.parametrize(
    ("scan", "said"),
    [
        (ParallelBeam.for_grid(GRID, 10), "has 10 parallel views over 180 degrees"),
        (ParallelBeam.for_grid(GRID, 9, arc_rad=2.0), r"has 9 parallel views over 114\.6 degrees"),
        (FanBeam.for_grid(GRID, 9), "has 9 fan views over 360 degrees"),
        (FanBeam.for_grid(GRID, 9, detector_shape="curved"), "has 9 fan-curved views"),
    ],
    ids=["views", "arc", "beam", "detector"],
)
def test_another_scan_than_it_was_trained_for(scan, said, network):
    y = torch.zeros(1, 1, *scan.shape)
    with pytest.raises(PriorError, match=f"trained for 9 parallel views over 180 degrees; the scan {said}"):
        fbp_unet(y, scan, GRID, network)


def test_a_scan_that_begins_at_another_angle_or_turns_the_other_way(y, network):
    for angles in ([a + 0.1 for a in SCAN.angles_rad], [-a for a in SCAN.angles_rad]):
        assert fbp_unet(y, SCAN.with_angles(tuple(angles)), GRID, network).shape == (2, 1, 16, 16)


def test_another_image_size(network):
    grid = ImageGrid((24, 24), 8.0)
    scan = ParallelBeam.for_grid(grid, 9)
    with pytest.raises(PriorError, match="trained on 16 x 16 pixels; the image grid is 24 x 24"):
        fbp_unet(torch.zeros(1, 1, *scan.shape), scan, grid, network)


def test_a_volume(network):
    """However large: another size is no way out."""
    with pytest.raises(PriorError, match="takes slices one by one; the image grid is a volume of 4 x 16 x 16.*method"):
        network.check_shape((4, 16, 16))


# ---------------------------------------------------------------- files


def test_saved_and_loaded(network, tmp_path):
    network.save_pretrained(tmp_path)
    loaded = ImageUNet.from_pretrained(tmp_path)
    assert replace(loaded.config, weights_sha256="") == CONFIG
    hu = 300 * torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded(hu), network(hu))


def test_no_such_network(tmp_path):
    with pytest.raises(PriorError, match="no fbp-unet 'nonsense'"):
        ImageUNet.from_pretrained("nonsense")
    with pytest.raises(PriorError, match=r"expected a folder with fbp-unet\.json"):
        ImageUNet.from_pretrained(tmp_path)


def test_damaged_weights(network, tmp_path):
    network.save_pretrained(tmp_path)
    path = tmp_path / "network" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PriorError, match="has SHA-256"):
        ImageUNet.from_pretrained(tmp_path)
    path.unlink()
    with pytest.raises(PriorError, match="cannot be loaded as an fbp-unet"):
        ImageUNet.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"channels": [4, 16]}, {"channels": ...}, {"photons": [1]}, {"n_views": "many"}, {"arc_rad": None}]
)
def test_config_that_does_not_fit(changes, network, tmp_path):
    network.save_pretrained(tmp_path)
    path = tmp_path / "fbp-unet.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not ...}))
    with pytest.raises(PriorError) as error:
        ImageUNet.from_pretrained(tmp_path)
    assert "\n" not in str(error.value)
