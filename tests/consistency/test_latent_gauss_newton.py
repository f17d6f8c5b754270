"""Hard consistency in latents by Gauss-Newton, through decoders of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, VQModel

from ctresample.consistency import fit_latent_by_adamw, fit_latent_by_gauss_newton, residual_ratio
from ctresample.errors import PriorError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, Transmission, Weighted, WeightedModel

GRID = ImageGrid((16, 16), 4.0)
A = SparseProjector(ParallelBeam.for_grid(GRID, 6), GRID)
UNIT = 0.02
BATCH = 3


def decoder(kind: str):
    """An untrained decoder of latents (B, 4, 8, 8) to images in 1/mm."""
    sides = {"in_channels": 1, "out_channels": 1, "latent_channels": 4, "block_out_channels": (8, 8)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "kl":  # with attention, which when fused has no second derivative
            blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
            vae = AutoencoderKL(norm_num_groups=4, mid_block_add_attention=True, **blocks, **sides)
        elif kind == "vq":
            blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
            vae = VQModel(norm_num_groups=4, num_vq_embeddings=512, **blocks, **sides)
            vae.quantize.embedding.weight.data.normal_()
        else:
            channels = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
            vae = AutoencoderTiny(
                1, 1, latent_channels=4, num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1), **channels
            )
    vae.eval().requires_grad_(False)
    return lambda z: UNIT * (1 + vae.decode(z).sample)


def mixed(z: torch.Tensor) -> torch.Tensor:
    """A smooth map that is not linear."""
    up = torch.nn.functional.interpolate(z, scale_factor=2).tanh()
    return UNIT * (1 + 0.5 * up[:, :1] - 0.3 * up[:, 1:2] + 0.1 * up[:, 2:3] * up[:, 3:])


class Case:
    """Three slices: the first starts at its noise level, the others further and further off."""

    def __init__(self, decode, sigma: float = 0.03) -> None:
        generator = torch.Generator().manual_seed(0)
        self.decode = decode
        self.truth = torch.randn((BATCH, 4, 8, 8), generator=generator)
        self.W = Weighted(A, torch.full((1, 1, *A.range_shape), 1 / sigma))
        with torch.no_grad():
            clean = self.W(decode(self.truth))
        self.y = clean + 0.9 * torch.randn(clean.shape, generator=generator)
        away = torch.randn(self.truth.shape, generator=generator)
        self.start = self.truth + away * torch.tensor([0.0, 0.5, 1.0]).view(-1, 1, 1, 1)

    def ratio(self, z: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return residual_ratio(self.W(self.decode(z)) - self.y)

    def fit(self, k=slice(None), **options) -> torch.Tensor:
        options = {"spread": 1.0, "n_iterations": 6, "cg_iterations": 30} | options
        return fit_latent_by_gauss_newton(self.start[k], self.y[k], self.W, self.decode, **options)


def test_residual_falls_to_the_noise_and_hardly_below():
    case = Case(mixed)
    before, after = case.ratio(case.start), case.ratio(case.fit())
    assert before[0] < 1 < before[1]
    assert (before[1:] > 1.3).all()
    assert ((after[1:] > 0.98) & (after[1:] < 1.02)).all()


@pytest.mark.parametrize("kind", ["kl", "vq", "tiny"])
def test_every_kind_of_autoencoder(kind):
    """Even where decoding rounds to a codebook, whose derivative is that of the straight-through estimate."""
    decode = decoder(kind)
    with torch.no_grad():
        scale = float(decode(torch.randn((4, 4, 8, 8), generator=torch.Generator().manual_seed(1))).std())
    case = Case(decode, sigma=10 * scale)
    found = case.fit(n_iterations=3, cg_iterations=12)
    before, after = case.ratio(case.start), case.ratio(found)
    assert (before[1:] > 1.1).all()
    assert (after[1:] < 1 + (0.5 if kind == "vq" else 0.05) * (before[1:] - 1)).all()
    assert torch.equal(found[0], case.start[0])


def test_a_batch_is_its_slices_alone():
    case = Case(mixed)
    together = case.fit()
    assert torch.equal(together[0], case.start[0])
    for k in range(BATCH):
        assert torch.allclose(together[k], case.fit(slice(k, k + 1))[0], atol=2e-3)


def test_of_a_linear_decoder_it_is_the_proximal_step(phantoms):
    """Where the noise level is out of reach, one linearisation gives what linear algebra does."""
    generator = torch.Generator().manual_seed(0)
    projector = SparseProjector(A.geometry, GRID, dtype=torch.float64)
    D = 0.01 * torch.randn((256, 64), generator=generator, dtype=torch.float64)
    W = Weighted(projector, 50 * (1 + torch.rand((1, 1, *A.range_shape), generator=generator, dtype=torch.float64)))
    y = 30 * torch.randn((2, 1, *A.range_shape), generator=generator, dtype=torch.float64)
    z0 = torch.randn((2, 1, 8, 8), generator=generator, dtype=torch.float64)
    found = fit_latent_by_gauss_newton(
        z0,
        y,
        W,
        lambda z: (z.flatten(1) @ D.T).view(-1, 1, 16, 16),
        spread=0.7,
        n_iterations=1,
        cg_iterations=200,
    )
    M = W.weights.numpy().reshape(-1, 1) * phantoms.matrix_of(projector) @ D.numpy()
    for k in range(2):
        known = M.T @ y[k].numpy().ravel() + z0[k].numpy().ravel() / 0.7**2
        expected = np.linalg.solve(M.T @ M + np.eye(64) / 0.7**2, known)
        assert found[k].numpy().ravel() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_jacobian_and_its_adjoint_are_each_others():
    """And the product is the derivative, by finite differences."""
    from ctresample.consistency.latent_gauss_newton import _Decoded

    case = Case(decoder("kl"))
    J, generator = _Decoded(case.W, case.decode).linearised(case.start), torch.Generator().manual_seed(5)
    u, v = torch.randn(case.start.shape, generator=generator), torch.randn(case.y.shape, generator=generator)
    Ju = J(u)
    assert float((Ju * v).sum()) == pytest.approx(float((u * J.T(v)).sum()), rel=1e-3)
    with torch.no_grad():
        ahead, behind = (case.W(case.decode(case.start + h * u)) for h in (1e-2, -1e-2))
    assert float(((ahead - behind) / 2e-2 - Ju).norm() / Ju.norm()) < 1e-2


def test_with_counts():
    case = Case(mixed)
    F = Transmission(A, 2000.0)
    with torch.no_grad():
        expected = F(mixed(case.truth))
    sigma = F.sigma(expected)
    model = WeightedModel(F, 1 / sigma)
    y = torch.poisson(expected, generator=torch.Generator().manual_seed(2)) / sigma
    z = fit_latent_by_gauss_newton(case.start, y, model, mixed, spread=1.0, n_iterations=8, cg_iterations=30)
    with torch.no_grad():
        before, after = (residual_ratio(model(mixed(v)) - y) for v in (case.start, z))
    assert (before[1:] > 1.3).all()
    assert ((after[1:] > 0.95) & (after[1:] < 1.05)).all()


def test_it_moves_less_than_the_published_descent():
    """Both reach the noise; Adam moves also what the data do not see."""
    case = Case(mixed)
    by_newton = case.fit()
    by_adamw = fit_latent_by_adamw(case.start, case.y, case.W, mixed, lr=2e-2, max_iterations=1000)
    assert (case.ratio(by_adamw) <= 1).all()
    moved = [(z - case.start)[1:].square().sum() for z in (by_newton, by_adamw)]
    assert moved[0] < moved[1]


def test_works_inside_no_grad_and_hands_back_plain_tensors():
    case = Case(mixed)
    with torch.no_grad():
        found = case.fit()
    assert not found.requires_grad
    assert torch.equal(found, case.fit())


def test_a_decoder_without_derivative():
    case = Case(lambda z: mixed(z.detach()))
    with pytest.raises(PriorError, match="no derivative in its latents; use latent_optimiser adamw"):
        case.fit()
