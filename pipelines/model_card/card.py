"""Measure all that a model card says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch

import ctresample
from ctresample.data_tools.training_data import NATIVE_SIZE, TrainingSlices
from ctresample.learned.latent_prior import LatentPrior
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.model_card.autoencoder import AutoencoderErrors, measure_autoencoder
from ctresample.pipelines.model_card.curves import Curve
from ctresample.pipelines.model_card.denoising import DenoisingErrors, measure_denoising
from ctresample.pipelines.model_card.memorisation import Memorisation, measure_memorisation
from ctresample.pipelines.model_card.parts import Anatomy, anatomy
from ctresample.pipelines.model_card.samples import draw_samples
from ctresample.pipelines.work import Progress, Work

_LEVELS_COST, _SEARCH_COST = 24, 600  # of a slice's denoising and of the search, in steps of a sample


@dataclass(frozen=True)
class Slices:
    """A set of slices that figures are from."""

    role: str
    n_slices: int
    n_patients: int
    digest: str


@dataclass(frozen=True)
class Sampling:
    """How the samples were drawn."""

    n: int
    steps: int
    seed: int


@dataclass(frozen=True)
class Card:
    """Every figure of a model card.

    Attributes:
        version: of ctresample, which measured.
        anatomy: what the prior is made of.
        slices: the sets: training, validation and, if given, test.
        trained_on_these: whether the training slices are those that the prior names; None if it names none.
        autoencoder: errors of each held-out set at each size.
        denoising: of this prior and of those it is compared with, on validation slices.
        curves: of the training runs.
        sampling: how samples were drawn.
        memorisation: the nearest training slices of the samples.
    """

    version: str
    anatomy: Anatomy
    slices: tuple[Slices, ...]
    trained_on_these: bool | None
    autoencoder: tuple[AutoencoderErrors, ...]
    denoising: tuple[DenoisingErrors, ...]
    curves: tuple[Curve, ...]
    sampling: Sampling
    memorisation: Memorisation


def measure_card(
    prior: LatentPrior,
    folder: StrPath,
    sets: dict[str, TrainingSlices],
    *,
    against: Mapping[str, LatentPrior] = MappingProxyType({}),
    curves: Sequence[Curve] = (),
    sampling: Sampling,
    progress: Progress | None = None,
) -> tuple[Card, torch.Tensor]:
    """All figures of a prior's card, and its samples.

    Args:
        prior: loaded from ``folder``.
        folder: of the prior.
        sets: the slices by role: "training", "validation" and, if there is one, "test".
        against: other priors by the name to show, whose denoising error stands beside.
        curves: of the training runs.
        sampling: how to draw samples; its seed is that of all random numbers.
        progress: told how far the whole is.

    Returns:
        The card, and the samples ``(n, 1, size, size)`` in HU.

    Raises:
        UsageError: a patient is in the training set and in another.
        PriorError: the networks do not take an image of 512 x 512 pixels.
    """
    folder = as_path(folder, "folder")
    training, validation = sets["training"], sets["validation"]
    held_out = {role: slices for role, slices in sets.items() if role != "training"}
    for slices in held_out.values():
        training.check_apart(slices)
    size = prior.config.image_size
    sizes = sorted({size, NATIVE_SIZE})
    priors = {prior.config.name: prior, **against}
    work = Work(
        sum(_cost(slices, pixels) for slices in held_out.values() for pixels in sizes)
        + len(priors) * _LEVELS_COST * len(validation.hu)
        + sampling.n * sampling.steps
        + _SEARCH_COST,
        progress,
    )
    autoencoder = []
    for role, slices in held_out.items():
        for pixels in sizes:
            work.start(f"autoencoder, {role} slices at {pixels} x {pixels}", _cost(slices, pixels))
            autoencoder.append(measure_autoencoder(prior, slices, role, pixels))
    denoising = []
    for name, one in priors.items():
        work.start(f"denoising error of {name}", _LEVELS_COST * len(validation.hu))
        denoising.append(measure_denoising(one, name, validation, size, sampling.seed))
    work.start("samples from noise", sampling.n * sampling.steps)
    samples = draw_samples(prior, sampling.n, size=size, steps=sampling.steps, seed=sampling.seed)
    work.start("nearest training slices", _SEARCH_COST)
    memorisation = measure_memorisation(samples, training, validation, sampling.seed, work.share)
    stated = prior.config.provenance.get("data_digest")
    card = Card(
        version=ctresample.__version__,
        anatomy=anatomy(prior, folder),
        slices=tuple(Slices(role, len(s.hu), len(s.patient_hashes), s.digest) for role, s in sets.items()),
        trained_on_these=None if stated is None else stated == training.digest,
        autoencoder=tuple(autoencoder),
        denoising=tuple(denoising),
        curves=tuple(curves),
        sampling=sampling,
        memorisation=memorisation,
    )
    return card, samples


def _cost(slices: TrainingSlices, pixels: int) -> float:
    return len(slices.hu) * pixels**2 / 256**2
