"""``ctresample train autoencoder`` and ``ctresample train prior``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctresample.errors import UsageError

if TYPE_CHECKING:
    from ctresample.data_tools.training_data import TrainingSlices

train = typer.Typer(help="Train a prior of your own, in two steps: autoencoder, then prior.")

Slices = Annotated[
    Path,
    typer.Argument(metavar="DICOM_DIR", exists=True, file_okay=False, help="Folder tree of CT slices to train on."),
]
Validation = Annotated[
    Path,
    typer.Option(
        metavar="DICOM_DIR",
        exists=True,
        file_okay=False,
        help="CT slices of other patients, to stop on. Never trained on.",
    ),
]
Out = Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Checkpoints and result; run again to resume.")]
Recipe = Annotated[str, typer.Option(metavar="NAME_OR_FILE", help="A shipped recipe (ct256, toy) or a YAML file.")]


@train.command(epilog="Example: [bold]ctresample train autoencoder train/ --validation val/ -o run --recipe toy[/bold]")
def autoencoder(dicom_dir: Slices, validation: Validation, out: Out, recipe: Recipe = "ct256") -> None:
    """First step: an autoencoder of CT images. Killed or stopped, it goes on from its last checkpoint."""
    from ctresample.pipelines.training.autoencoder import train_autoencoder
    from ctresample.pipelines.training.autoencoder_settings import AutoencoderSettings
    from ctresample.pipelines.training.recipe import read_recipe
    from ctresample.pipelines.training.progress import progress_printer

    settings = read_recipe(recipe, "autoencoder", AutoencoderSettings)
    slices, held_out = _read(dicom_dir, validation)
    train_autoencoder(slices, held_out, out, settings, on_step=progress_printer(settings.run.steps, typer.echo))
    typer.echo(f"{out / 'vae'}: next, ctresample train prior ... --autoencoder {out}")


@train.command(
    epilog="Example: [bold]ctresample train prior train/ --validation val/ --autoencoder run -o run --recipe toy[/bold]"
)
def prior(
    dicom_dir: Slices,
    validation: Validation,
    autoencoder: Annotated[Path, typer.Option(metavar="DIR", help="Result folder of the first step.")],
    out: Out,
    recipe: Recipe = "ct256",
) -> None:
    """Second step: the diffusion model on the autoencoder's latents, which completes the prior."""
    if not (autoencoder / "vae").is_dir():
        raise UsageError(f"{autoencoder} has no vae folder; expected the result of ctresample train autoencoder")
    from ctresample.pipelines.training.prior import train_prior
    from ctresample.pipelines.training.prior_settings import PriorSettings
    from ctresample.pipelines.training.recipe import read_recipe
    from ctresample.pipelines.training.progress import progress_printer

    settings = read_recipe(recipe, "prior", PriorSettings)
    slices, held_out = _read(dicom_dir, validation)
    on_step = progress_printer(settings.run.steps, typer.echo)
    train_prior(slices, held_out, autoencoder, out, settings, on_step=on_step)
    typer.echo(f"{out / 'prior'}: use it with --prior {out / 'prior'}")


def _read(dicom_dir: Path, validation: Path) -> tuple[TrainingSlices, TrainingSlices]:
    """Both sets of slices, refused if they share a patient."""
    from ctresample.data_tools.training_data import TrainingSlices

    slices, held_out = (TrainingSlices.read(folder) for folder in (dicom_dir, validation))
    slices.check_apart(held_out)
    typer.echo(f"training on {slices.summary}; validating on {held_out.summary}")
    return slices, held_out
