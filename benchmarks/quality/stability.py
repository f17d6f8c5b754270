"""How much an image changes where the data, or the run, change a little: by method.

Run: python benchmarks/quality/stability.py DICOM_DIR -o stability.jsonl [--views 25] [--photons 1e5] [--slices 4]

A change of the data has a stated size, a tenth of the noise (root mean square, in standard deviations of each ray):

- ``random``: white noise of that size.
- ``adversarial``: the change of that size that changes the image most, as far as it was found. Power iterations find a
  direction for each of FBP, fbp-unet, itnet and ReSample by autograd (of itnet and ReSample with the start held fixed,
  of ReSample also with what is encoded, so that its direction is a guess). Every method is shown all of them, and then
  that combination of them, and of the random one, which would change it most were it linear; the largest effect
  counts. TV has no derivative, ReSample no whole one: what is found for them is a lower bound.

Changes of the run: ``more photons`` and ``fewer``, the noise that 10 % more or fewer would have had, drawn alike;
``seed``, another one; ``start``, sampling that starts from CGLS in place of TV on coarse pixels. ``error`` is the
distance to the truth. A row has the root mean square over the body, and the largest over a square centimetre, in HU.
An existing file goes on. The table is in the page that names the file, see benchmarks/docs/tables.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from inspect import unwrap
from typing import Any

import numpy as np
import torch
from going_on import Rows, parser_of
from scipy.linalg import eigh

from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.learned import LearnedModel
from ctresample.metrics import body_mask, local_rms
from ctresample.operators import Projector, make_projector
from ctresample.pipelines.reconstruction.learned_models import load_model
from ctresample.pipelines.reconstruction.methods import BUNDLED, Method, method_named
from ctresample.pipelines.reconstruction.physics import LINEAR
from ctresample.pipelines.reconstruction.slice_generators import slice_generators
from ctresample.pipelines.reconstruction.solve import WAYS, Batch, solve
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.scan import Scan
from ctresample.sinogram import Sinogram
from ctresample.units import mu_to_hu
from ctresample.volume import Volume

SIZE = 0.1
"""Of a change of the data, in units of the noise."""

PHOTONS = {"more photons": 1.1, "fewer photons": 0.9}

POWER_STEPS = 3
"""Two of them find nearly the same direction."""

METHODS = (("fbp", ""), ("tv", ""), ("fbp-unet", ""), ("itnet", ""), ("resample", "draft"))
DIFFERENTIABLE = ("fbp", "fbp-unet", "itnet", "resample")


@dataclass(frozen=True, eq=False)
class Scene:
    """A scan, as tensors; images of it in HU.

    Attributes:
        sinogram: the scan.
        A: its projector.
        models: learned ones by kind.
    """

    sinogram: Sinogram
    A: Projector
    models: Mapping[str, LearnedModel]

    @property
    def y(self) -> torch.Tensor:
        """Line integrals ``(1, 1, views, detectors)``."""
        return torch.from_numpy(self.sinogram.values[:, None])

    @property
    def sigma(self) -> torch.Tensor:
        """Their standard deviation."""
        return torch.from_numpy(self.sinogram.sigma()[:, None])

    def images(
        self, method: Method, settings: Any, y: torch.Tensor, *, seed: int = 0, through: bool = False
    ) -> torch.Tensor:
        """Of measurements ``(B, 1, views, detectors)``; ``through`` with derivatives, as far as the solver has them."""
        sigma = self.sigma.expand_as(y)
        batch = Batch(
            y=y,
            A=self.A,
            sigma=sigma,
            problem=LINEAR.problem(self.sinogram, self.A, y, sigma),
            mu_water_per_mm=self.sinogram.mu_water_per_mm,
            model=self.models.get(method.needs),
            settings=settings,
            generators=slice_generators(seed, [0] * len(y), coupled=True),
            watch=lambda share, status: None,
        )
        with torch.set_grad_enabled(through):
            mu = WAYS[method.way](unwrap(method.load_solver()), batch) if through else solve(method, batch)
        return mu_to_hu(mu, self.sinogram.mu_water_per_mm)


def adversarial(images: Callable[[torch.Tensor], torch.Tensor], y: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The change of ``y``, of root mean square `SIZE` in units of ``sigma``, that changes the image most.

    Power iteration with the derivative of the image, which is taken where the change has led.
    """
    norm = SIZE * y.numel() ** 0.5
    change = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = images(y)
    change *= norm / change.norm()
    for _ in range(POWER_STEPS):
        effect = (images(y + sigma * change.requires_grad_()) - before).square().sum()
        (gradient,) = torch.autograd.grad(effect, change)
        if not 0 < float(gradient.norm()) < torch.inf:  # of ReSample, where nothing that has a derivative is left
            break
        change = norm * gradient / gradient.norm()
    return sigma * change.detach()


def strongest(changes: torch.Tensor, effects: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The combination of changes, of the same size as each, that would have the largest effect were effects linear.

    Args:
        changes: ``(K, 1, views, detectors)``, of root mean square `SIZE` in units of ``sigma``.
        effects: what each does, ``(K, pixels)``.
        sigma: of the data, ``(1, 1, views, detectors)``.
    """
    white = (changes / sigma).flatten(1).double()
    gains, overlaps = effects.double() @ effects.double().T, white @ white.T
    weights = torch.from_numpy(eigh(gains.numpy(), overlaps.numpy())[1][:, -1])
    found = torch.einsum("k,kn->n", weights, white)
    found = SIZE * found.numel() ** 0.5 * found / found.norm()
    return (sigma * found.view_as(sigma)).to(sigma)


def rows_of(volume: Volume, scan: Scan, number: int, models: Mapping[str, LearnedModel]) -> Iterator[dict[str, Any]]:
    """All changes of one slice under all methods."""
    sinogram, truth = scan.scan(volume, seed=number), scanned(volume, scan.size).hu[0]
    scene = Scene(sinogram, make_projector(sinogram.geometry, sinogram.grid), models)
    y, sigma = scene.y, scene.sigma
    clean = torch.from_numpy(replace(scan, photons=None).scan(volume).values[:, None])
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    presets = dict(METHODS)
    changes = [SIZE * sigma * noise / noise.square().mean().sqrt()]
    for name in DIFFERENTIABLE:
        method = method_named(name)
        settings = method.load_settings(presets[name])
        changes.append(adversarial(lambda y, m=method, s=settings: scene.images(m, s, y, through=True), y, sigma))
    tried = torch.cat(changes)
    data = torch.cat([y, y + tried, *(clean + (y - clean) / n**0.5 for n in PHOTONS.values())])
    body, pixel_mm = body_mask(truth), sinogram.grid.pixel_size_mm
    for name, preset in METHODS:
        method = method_named(name)
        settings = method.load_settings(preset)
        own, *others = scene.images(method, settings, data)[:, 0].numpy()
        effects = np.stack([one - own for one in others])
        found = dict(zip(("random", *DIFFERENTIABLE), effects, strict=False))
        combined = strongest(tried, torch.from_numpy(effects[: len(tried), body]), sigma)
        found["combined"] = scene.images(method, settings, y + combined)[0, 0].numpy() - own
        searched = {key: _rms(one, body) for key, one in found.items()}
        worst = max(searched, key=searched.__getitem__)
        changed = {"random": found["random"], "adversarial": found[worst]}
        changed |= dict(zip(PHOTONS, effects[len(tried) :], strict=True))
        if method.is_random:
            changed["seed"] = scene.images(method, settings, y, seed=1)[0, 0].numpy() - own
            from_cgls = replace(settings, warm_start="cgls")
            changed["start"] = scene.images(method, from_cgls, y)[0, 0].numpy() - own
        changed["error"] = truth - own
        for change, effect in changed.items():
            yield {
                "slice": number,
                "method": f"{name} {preset}".strip(),
                "change": change,
                "rms_hu": round(_rms(effect, body), 3),
                "worst_square_cm_hu": round(float(local_rms(effect, pixel_mm)[body].max()), 2),
                **({"found_by": worst} if change == "adversarial" else {}),
            }


def _rms(effect: np.ndarray, body: np.ndarray) -> float:
    return float(np.sqrt(np.mean(effect[body].astype(np.float64) ** 2)))


def main() -> None:
    """Measure the slices that the file does not have."""
    parser = parser_of(__doc__)
    parser.add_argument("--slices", type=int, default=4, help="so many, evenly spaced in order of path")
    arguments = parser.parse_args()
    scan = Scan(n_views=int(arguments.views), photons=arguments.photons)
    kinds = {method_named(name).needs for name, _ in METHODS} - {""}
    models = {kind: load_model(BUNDLED[kind], "cpu", kind) for kind in kinds}
    volumes = read_ct_slices(arguments.dicom_dir)
    chosen = np.linspace(0, len(volumes) - 1, min(arguments.slices, len(volumes))).round().astype(int).tolist()
    rows = Rows(arguments.out)
    with screen() as show:
        for done, number in enumerate(chosen):
            show.progress(done / len(chosen), f"slice {number + 1}")
            if not rows.have(slice=number):
                rows.add(rows_of(volumes[number], scan, number, models))


if __name__ == "__main__":
    main()
