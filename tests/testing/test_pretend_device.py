"""All that computes on tensors, on a device that refuses to mix with the CPU and counts what the host waits for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import ctresample
from ctresample.consistency import dual_proximal_step
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.operators import (
    ConeProjector,
    Polychromatic,
    SparseProjector,
    Spectrum,
    StreamedProjector,
    Transmission,
    Weighted,
    make_projector,
)
from ctresample.pipelines.reconstruction.maps import residual_map
from ctresample.pipelines.reconstruction.methods import METHODS
from ctresample.pipelines.reconstruction.physics import Physics
from ctresample.solvers.resample import PRESETS
from ctresample.solvers.tv import tv
from ctresample.testing import PretendDevice, phantoms, priors

SIZE = 32
FEW = {"n_steps": 2, "averaged_steps": 1, "warm_start": "cgls", "final_iterations": 20}
"""Of each diffusion solver: enough to go through all that it does, but for the many iterations of TV."""


@pytest.fixture(autouse=True)
def one_thread(in_one_thread):
    with in_one_thread():
        yield


@pytest.fixture
def device():
    with PretendDevice() as device:
        yield device


@pytest.fixture(scope="module")
def scan():
    hu = np.full((2, SIZE, SIZE), -1000.0)
    hu[:, 6:26, 8:24] = 40
    volume = ctresample.Volume(hu, np.diag([2, 2, 2, 1]))
    return ctresample.simulate(volume, n_views=12, size=SIZE, photons=1e4)


# ---------------------------------------------------------------- the device itself


def test_computes_as_the_cpu_does(device):
    x = torch.arange(6.0).reshape(2, 3)
    there = x.to(device.name)
    assert there.device.type == device.name
    assert torch.equal((there[:, 1:].t() @ there.square()).cpu(), x[:, 1:].t() @ x.square())
    there[0, 1:] += 5
    assert there.tolist() == [[0, 6, 7], [3, 4, 5]]


@pytest.mark.parametrize(
    "mixes",
    [
        lambda x: x + torch.ones(3),
        lambda x: torch.stack([x, torch.ones(3)]),
        lambda x: torch.matmul(torch.ones(2, 3), x),
        lambda x: torch.where(torch.ones(3, dtype=torch.bool), x, 0),
        lambda x: torch.randn(3, generator=torch.Generator(), device=x.device),
        lambda x: x.normal_(generator=torch.Generator()),
        lambda x: x.numpy(),
        lambda x: np.asarray(x),
        lambda x: x + torch.tensor([1.0, 2, 3], device=x.device).cpu(),
    ],
)
def test_refuses_to_mix(device, mixes):
    with pytest.raises((RuntimeError, TypeError)):
        mixes(torch.ones(3).to(device.name))


@pytest.mark.parametrize(
    ("look", "cause"),
    [
        (lambda x: x.sum().item(), "_local_scalar_dense"),
        (lambda x: bool((x > 0).all()), "_local_scalar_dense"),
        (lambda x: float(x[0]), "_local_scalar_dense"),
        (lambda x: x.tolist(), "cpu"),
        (lambda x: x.cpu(), "cpu"),
        (lambda x: x.nonzero(), "nonzero"),
        (lambda x: x[x > 0], "index"),
    ],
)
def test_counts_waits(device, look, cause):
    x = torch.ones(3).to(device.name)
    with device.counted():
        look(x)
    assert device.causes == {cause: 1}


def test_counts_launches_and_uploads(device):
    x = torch.ones(4)
    with device.counted():
        there = x.to(device.name)
        there = (there + 1).reshape(2, 2).t() * torch.tensor(2.0)  # views launch nothing, and numbers go along
    assert (device.uploads, device.launches, device.waits) == (1, 2, 0)


def test_gradients(device):
    x = torch.ones(3).to(device.name).requires_grad_()
    (x.square().sum() * 2).backward()
    assert x.grad.tolist() == [4, 4, 4]


# ---------------------------------------------------------------- operators


GRID = ImageGrid((12, 12), 2.0)
VOLUME = VolumeGrid((3, 8, 8), 2.0, 2.0)
PROJECTORS = {
    "sparse parallel": lambda where: SparseProjector(ParallelBeam.for_grid(GRID, 5), GRID, device=where),
    "sparse fan": lambda where: SparseProjector(FanBeam.for_grid(GRID, 5), GRID, device=where),
    "streamed": lambda where: StreamedProjector(FanBeam.for_grid(GRID, 5, detector_shape="curved"), GRID, device=where),
    "cone": lambda where: ConeProjector(ConeBeam.for_grid(VOLUME, 4), VOLUME, device=where),
    "scaled": lambda where: 2.0 * SparseProjector(ParallelBeam.for_grid(GRID, 5), GRID, device=where),
}


@pytest.mark.parametrize("name", PROJECTORS)
def test_projectors(device, name):
    A, there = PROJECTORS[name]("cpu"), PROJECTORS[name](device.name)
    x = torch.rand(2, 1, *A.domain_shape, generator=torch.Generator().manual_seed(0))
    moved = x.to(device.name).requires_grad_()
    y = there(moved)
    torch.testing.assert_close(y.detach().cpu(), A(x))
    torch.testing.assert_close(there.T(y).detach().cpu(), A.T(A(x)))
    y.sum().backward()
    torch.testing.assert_close(moved.grad.cpu(), A.T(torch.ones(y.shape)))
    assert ctresample.dot_test(there) < 1e-5


@pytest.mark.parametrize("kind", ["counts", "spectrum"])
def test_nonlinear_models(device, kind):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 5), GRID, device=device.name)
    model = Transmission(A, 1e4) if kind == "counts" else Polychromatic(A, Spectrum.of_tube(120))
    x = torch.full((1, 1, *GRID.shape), 0.02).to(device.name)
    y = model(x)
    assert torch.isfinite(model.linearised(x).T(y)).all()


# ---------------------------------------------------------------- reconstruction


def settings_of(method):
    """Its settings with few steps; what it stands for takes many."""
    settings = PRESETS["fast"] if method.name == "resample" else method.load_settings(next(iter(method.presets), ""))
    return settings and replace(settings, **{name: n for name, n in FEW.items() if hasattr(settings, name)})


def model_of(needs):
    kinds = {"latent prior": priors.random_prior, "pixel prior": priors.random_pixel_prior, "": lambda: None}
    return kinds[needs]()


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("fbp-unet", "itnet", "tv")])
def test_methods(device, scan, name):
    """Each as on the CPU, within what a random network makes of rounding; those left out have tests below."""
    method = METHODS[name]
    options = {"method": name, "settings": settings_of(method)}
    expected = ctresample.reconstruct(scan, prior=model_of(method.needs), **options).image_hu
    prior = model_of(method.needs)
    found = ctresample.reconstruct(scan, prior=prior and prior.to(device.name), device=device.name, **options).image_hu
    assert phantoms.relative(found, expected) < (0.02 if prior else 1e-5)


def test_tv(device):
    """Alone, for it takes many iterations."""
    A = SparseProjector(ParallelBeam.for_grid(GRID, 5), GRID)
    y = A(torch.full((1, 1, *GRID.shape), 0.02))
    options = {"max_iterations": 40, "tolerance_hu": 1e-3}
    expected = ctresample.tv(y, A, sigma=torch.full_like(y, 0.01), **options)
    A, y = SparseProjector(A.geometry, GRID, device=device.name), y.to(device.name)
    found = ctresample.tv(y, A, sigma=torch.full_like(y, 0.01), **options)
    torch.testing.assert_close(found.cpu(), expected)


def test_fbp_unet(device):
    """It takes the scan it was trained for: here the bundled one's size and views."""
    hu = np.full((1, 256, 256), -1000.0)
    hu[:, 60:200, 50:190] = 40
    scan = ctresample.simulate(ctresample.Volume(hu, np.diag([1.5, 1.5, 2, 1])), n_views=25, size=256)
    found = ctresample.reconstruct(scan, method="fbp-unet", device=device.name).image_hu
    assert abs(np.median(found[0, 80:180, 70:170]) - 40) < 20


def test_itnet(device, scan):
    prior = priors.random_prior(condition_spread=0.5).to(device.name)
    assert np.isfinite(ctresample.reconstruct(scan, method="itnet", prior=prior, device=device.name).image_hu).all()


@pytest.mark.parametrize("physics", [Physics("counts"), Physics(tube_kilovolts=120)])
@pytest.mark.parametrize("name", ["wls", "resample"])
def test_nonlinear_reconstruction(device, scan, physics, name):
    method = METHODS[name]
    prior = model_of(method.needs)
    options = {"settings": settings_of(method), "prior": prior and prior.to(device.name)}
    result = ctresample.reconstruct(scan, method=name, physics=physics, device=device.name, **options)
    assert np.isfinite(result.image_hu).all()


@pytest.mark.parametrize("name", ["fbp", "cgls"])
def test_cone_beams(device, name):
    hu = np.full((4, 16, 16), -1000.0)
    hu[:, 4:12, 4:12] = 0
    scan = ctresample.simulate(ctresample.Volume(hu, np.diag([4, 4, 4, 1])), n_views=6, size=16, beam="cone")
    assert np.isfinite(ctresample.reconstruct(scan, method=name, device=device.name).image_hu).all()


def test_residual_maps(device, scan):
    image = np.zeros((2, SIZE, SIZE), np.float32)
    there = residual_map(scan, image, device=device.name)
    np.testing.assert_allclose(there, residual_map(scan, image), atol=1e-2)


@pytest.mark.parametrize("preset", ["paper", "released_code"])
def test_presets_of_the_paper(device, scan, preset):
    few = {"n_steps": 3, "skip": 1, "inner_steps": 1, "pixel_iterations": 3, "latent_iterations": 3}
    options = {"settings": replace(PRESETS[preset], **few), "prior": priors.random_prior().to(device.name)}
    assert np.isfinite(ctresample.reconstruct(scan, device=device.name, **options).image_hu).all()


# ---------------------------------------------------------------- training


def test_a_step_of_training(device):
    from ctresample.data_tools.training_data import TrainingSlices
    from ctresample.pipelines.training.diffusion_objective import DiffusionObjective
    from ctresample.pipelines.training.prior_settings import PriorSettings
    from ctresample.pipelines.training.settings import RunSettings

    slices = TrainingSlices(np.zeros((2, 512, 512), np.int16), np.arange(2), ("a", "b"), "digest")
    settings = PriorSettings(
        run=RunSettings(steps=1, batch_size=2), name="toy", image_size=32, channels=(8, 16), pool=2
    )
    prior = priors.random_prior()
    objective = DiffusionObjective(prior, prior.unet.requires_grad_(True), slices, slices, settings)
    batch = next(objective.batches(0, 0))
    objective.to(device.name)
    optimiser = torch.optim.AdamW(objective.network.parameters(), lr=1e-3)
    before = [weight.detach().cpu() for weight in objective.network.parameters()]
    loss = objective({name: values.to(device.name) for name, values in batch.items()})
    loss.backward()
    optimiser.step()
    after = [weight.detach().cpu() for weight in objective.network.parameters()]
    assert torch.isfinite(loss) and any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


# ---------------------------------------------------------------- waits


def count_of(device, scan, settings):
    prior = priors.random_prior().to(device.name)
    one = replace(scan, values=scan.values[:1])
    with device.counted():
        ctresample.reconstruct(one, settings=settings, prior=prior, device=device.name)
    print(f"{settings.n_steps} steps: {device.causes}, {device.uploads} uploads, {device.launches} launches")  # noqa: T201
    return np.array([device.waits, device.uploads])


WAITS_A_STEP, UPLOADS_A_STEP = 0, 2
"""Of ReSample's `fast`, measured: the present bounds, to be lowered with the solver and never raised."""


def test_waits_of_a_step(device, scan):
    # without what happens once a slice; going on to a residual asks once a try
    bare = {"averaged_steps": 1, "warm_start": None, "start_level": 1.0, "final": "none", "residual_target": None}
    steps = [count_of(device, scan, replace(PRESETS["fast"], n_steps=n, **bare)) for n in (2, 4)]
    waits, uploads = (steps[1] - steps[0]) / 2
    assert waits <= WAITS_A_STEP
    assert uploads <= UPLOADS_A_STEP


@pytest.mark.parametrize("step", ["proximal step", "total variation"])
def test_a_step_could_be_captured_as_a_graph(device, scan, step):
    """Nothing in it asks the device or sends it anything, which a CUDA graph cannot hold."""
    A = make_projector(scan.geometry, scan.grid, device=device.name)
    y, sigma = (torch.from_numpy(one)[:, None].to(device.name) for one in (scan.values, scan.sigma()))
    x = torch.zeros(2, 1, SIZE, SIZE).to(device.name)
    W = Weighted(A, 1 / sigma)
    W.row_norms  # noqa: B018  # kept, as it is from the first step on
    with device.counted():
        if step == "proximal step":
            dual_proximal_step(x, y / sigma, W, spread=0.001, n_iterations=5)
        else:
            tv(y, A, sigma=sigma, max_iterations=19)
    assert (device.waits, device.uploads) == (0, 0), device.causes
    assert device.launches > 50


@pytest.mark.slow
def test_waits_of_a_slice(device, scan):
    """As many as `fast` really takes."""
    waits, uploads = count_of(device, scan, PRESETS["fast"])
    assert waits <= 20
    assert uploads <= 95
