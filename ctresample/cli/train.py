"""``ctresample train``: a latent prior in two steps, a prior of pixels, a U-Net on FBP images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctresample.choices import SliceBeam
from ctresample.cli import options, screen
from ctresample.cli.pages import epilog
from ctresample.errors import UsageError

if TYPE_CHECKING:
    from ctresample.data_tools.training_data import TrainingSlices
    from ctresample.pipelines.training.dry_run import DryRun

train = typer.Typer(help="Train a prior of your own, in two steps: autoencoder, then prior; or another learned model.")

Slices = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="CT slices to train on: a folder tree of DICOM files, or the train folder of ctresample dataset.",
    ),
]
Validation = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="CT slices of other patients, to stop on. Never trained on.",
    ),
]
Out = Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Checkpoint and result; run again to resume.")]
Recipe = Annotated[str, typer.Option(metavar="NAME_OR_FILE", help="A shipped recipe (ct256, toy) or a YAML file.")]
OnlyTry = Annotated[
    bool, typer.Option("--dry-run", help="Say what it would take (parameters, memory, time); write nothing.")
]


@train.command(epilog=epilog("train autoencoder", "train/ --validation val/ -o run --recipe toy"))
def autoencoder(
    slices_dir: Slices, validation: Validation, out: Out, recipe: Recipe = "ct256", dry_run: OnlyTry = False
) -> None:
    """First step: an autoencoder of CT images. Killed or stopped, it goes on from its last checkpoint."""
    from ctresample.pipelines.training.autoencoder import autoencoder_objective, train_autoencoder
    from ctresample.pipelines.training.autoencoder_settings import AutoencoderSettings
    from ctresample.pipelines.training.dry_run import dry_run as try_run
    from ctresample.pipelines.training.progress import progress_printer
    from ctresample.pipelines.training.recipe import read_recipe

    settings = read_recipe(recipe, "autoencoder", AutoencoderSettings)
    slices, held_out = read_slices(slices_dir, validation)
    if dry_run:
        show_dry_run(try_run(autoencoder_objective(slices, held_out, settings), settings.run))
        return
    train_autoencoder(slices, held_out, out, settings, on_step=progress_printer(settings.run.steps, say))
    say(f"{out / 'vae'}: next, ctresample train prior ... --autoencoder {out}")


@train.command(epilog=epilog("train prior", "train/ --validation val/ --autoencoder run -o run/diffusion --recipe toy"))
def prior(
    slices_dir: Slices,
    validation: Validation,
    autoencoder: Annotated[Path, typer.Option(metavar="DIR", help="Result folder of the first step.")],
    out: Out,
    recipe: Recipe = "ct256",
    dry_run: OnlyTry = False,
) -> None:
    """Second step: the diffusion model on the autoencoder's latents, which completes the prior."""
    if not (autoencoder / "vae").is_dir():
        raise UsageError(f"{autoencoder} has no vae folder; expected the result of ctresample train autoencoder")
    from ctresample.pipelines.training.dry_run import dry_run_diffusion
    from ctresample.pipelines.training.prior import prior_objective, train_prior
    from ctresample.pipelines.training.prior_settings import PriorSettings
    from ctresample.pipelines.training.progress import progress_printer
    from ctresample.pipelines.training.recipe import read_recipe

    settings = read_recipe(recipe, "prior", PriorSettings)
    slices, held_out = read_slices(slices_dir, validation)
    if dry_run:
        show_dry_run(dry_run_diffusion(lambda s: prior_objective(slices, held_out, autoencoder, s, say), settings))
        return
    on_step = progress_printer(settings.run.steps, say)
    train_prior(slices, held_out, autoencoder, out, settings, on_step=on_step, on_note=say)
    say(f"{out / 'prior'}: use it with --prior {out / 'prior'}")


@train.command(epilog=epilog("train coarse", "run/diffusion/prior train/ --validation val/ -o run/coarse --recipe toy"))
def coarse(
    prior: Annotated[
        str, typer.Argument(metavar="PRIOR", help="The prior to add it to: a bundled one's name, or a folder.")
    ],
    slices_dir: Slices,
    validation: Validation,
    out: Out,
    recipe: Recipe = "ct256",
    dry_run: OnlyTry = False,
) -> None:
    """A small network for the noisiest steps of a prior, so that slices drawn from pure noise have their anatomy.

    The result is the prior with it. Methods that start from little noise, as the preset fast does, give the same
    images with it as without.
    """
    from ctresample.learned.folders import find_prior
    from ctresample.pipelines.training.coarse import coarse_objective, train_coarse
    from ctresample.pipelines.training.coarse_settings import CoarseSettings
    from ctresample.pipelines.training.dry_run import dry_run_diffusion
    from ctresample.pipelines.training.progress import progress_printer
    from ctresample.pipelines.training.recipe import read_recipe

    settings = read_recipe(recipe, "coarse", CoarseSettings)
    find_prior(prior)  # before the slices are read, which takes longer
    slices, held_out = read_slices(slices_dir, validation)
    if dry_run:
        show_dry_run(dry_run_diffusion(lambda s: coarse_objective(prior, slices, held_out, s), settings))
        return
    train_coarse(prior, slices, held_out, out, settings, on_step=progress_printer(settings.run.steps, say))
    say(f"{out / 'prior'}: use it with --prior {out / 'prior'}")


@train.command(epilog=epilog("train pixel-prior", "train/ --validation val/ -o pixel-run --recipe toy"))
def pixel_prior(
    slices_dir: Slices, validation: Validation, out: Out, recipe: Recipe = "ct256", dry_run: OnlyTry = False
) -> None:
    """A diffusion model of images themselves, for the methods dps, mcg, dds and diffpir; it needs no autoencoder."""
    from ctresample.pipelines.training.dry_run import dry_run_diffusion
    from ctresample.pipelines.training.pixel_prior import pixel_prior_objective, train_pixel_prior
    from ctresample.pipelines.training.prior_settings import DenoiserSettings
    from ctresample.pipelines.training.progress import progress_printer
    from ctresample.pipelines.training.recipe import read_recipe

    settings = read_recipe(recipe, "pixel-prior", DenoiserSettings)
    slices, held_out = read_slices(slices_dir, validation)
    if dry_run:
        show_dry_run(dry_run_diffusion(lambda s: pixel_prior_objective(slices, held_out, s), settings))
        return
    train_pixel_prior(slices, held_out, out, settings, on_step=progress_printer(settings.run.steps, say))
    say(f"{out / 'prior'}: use it with --method dds --prior {out / 'prior'}")


@train.command(epilog=epilog("train fbp-unet", "train/ --validation val/ --views 25 --photons 1e5 -o unet-run"))
def fbp_unet(
    slices_dir: Slices,
    validation: Validation,
    out: Out,
    views: Annotated[int | None, typer.Option(min=2, help="Views of the scans. Without it: the recipe's.")] = None,
    photons: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N]|none",
            help="Photons a ray, or the fewest and the most; none: no noise. Without it: the recipe's.",
        ),
    ] = None,
    geometry: Annotated[SliceBeam | None, typer.Option(help="Beam. Without it: the recipe's.")] = None,
    recipe: Recipe = "ct256",
    dry_run: OnlyTry = False,
) -> None:
    """A U-Net that takes the artefacts out of FBP images, for the method fbp-unet and one kind of scan only.

    The slices are scanned first, as by ctresample simulate.
    """
    from ctresample.pipelines.training.dry_run import dry_run as try_run
    from ctresample.pipelines.training.fbp_unet import RESULT, FBPUNetObjective, train_fbp_unet
    from ctresample.pipelines.training.fbp_unet_settings import FBPUNetSettings
    from ctresample.pipelines.training.progress import progress_printer
    from ctresample.pipelines.training.recipe import read_recipe

    settings = read_recipe(recipe, "fbp-unet", FBPUNetSettings)
    settings = replace(settings, n_views=views or settings.n_views, beam=geometry or settings.beam)
    if photons is not None:
        settings = replace(settings, photons=_photons(photons))
    slices, held_out = read_slices(slices_dir, validation)
    if dry_run:
        small = replace(settings, pool=min(settings.pool, 8))
        show_dry_run(try_run(FBPUNetObjective(slices, held_out, small), settings.run))
        return
    train_fbp_unet(slices, held_out, out, settings, on_step=progress_printer(settings.run.steps, say))
    say(f"{out / RESULT}: use it with --method fbp-unet --prior {out / RESULT}")


def _photons(text: str) -> tuple[float, float] | None:
    """Fewest and most photons a ray; None for no noise."""
    doses = options.doses("--photons", text)
    if doses == [None]:
        return None
    if None in doses or len(doses) > 2:
        raise UsageError(f"--photons is {text!r}; expected one or two numbers, or none")
    numbers = [dose for dose in doses if dose is not None]
    return min(numbers), max(numbers)


def read_slices(slices_dir: Path, validation: Path) -> tuple[TrainingSlices, TrainingSlices]:
    """Both sets of slices, refused if they share a patient."""
    from ctresample.data_tools.training_data import TrainingSlices

    def warn(message: str) -> None:
        say(message, to_stderr=True)

    slices, held_out = (TrainingSlices.read(folder, on_warning=warn) for folder in (slices_dir, validation))
    slices.check_apart(held_out)
    say(f"training on {slices.summary}; validating on {held_out.summary}")
    return slices, held_out


def say(message: str, *, to_stderr: bool = False) -> None:
    """Print a line; of several processes only the first does."""
    from ctresample.pipelines.training.processes import this_process

    if this_process().is_main_process:
        screen.say(message, err=to_stderr)


def show_dry_run(found: DryRun) -> None:
    """Print what a training would take."""
    from ctresample.cli.screen import clock

    opponent = f", and a discriminator of {found.n_opponent:,}" if found.n_opponent else ""
    say(f"parameters: {found.n_parameters:,}, of which trained {found.n_trained:,}{opponent}")
    say(f"memory: {found.memory_bytes / 1e9:.1f} GB ({found.memory_is})")
    say(f"time per step: {found.step_s:.3g} s (measured on {found.device})")
    pools = f", encoding of images {clock(found.pools_s)}" if found.pools_s else ""
    say(
        f"whole run: {clock(found.whole_run_s)} for {found.steps} steps; of it {found.n_validations} validations of "
        f"{found.validation_s:.3g} s{pools}"
    )
