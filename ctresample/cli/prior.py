"""``ctresample prior``: what one does with a prior besides training it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli.options import Device
from ctresample.cli.screen import screen

prior = typer.Typer(help="Make a prior of a diffusion model that others have trained.")


@prior.command(
    "import",
    epilog="Example: [bold]ctresample prior import lodochallenge/ -o my-prior --hu-range -1024 3071 "
    "--validation val/[/bold]",
)
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", exists=True, help="Folder of a diffusers pipeline, or a latent-diffusion checkpoint."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="PRIOR_DIR", help="The new prior, a new folder.")],
    validation: Annotated[
        Path,
        typer.Option(
            metavar="DICOM_DIR",
            exists=True,
            file_okay=False,
            help="CT slices that the model was not trained on, to measure its error at each noise level.",
        ),
    ],
    hu_range: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="HU that the model was trained to see as -1 and 1."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Short name of the prior. Without it: that of SOURCE.")] = None,
    first_stage: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="Checkpoint of the autoencoder, where SOURCE lacks it."
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.yaml", exists=True, dir_okay=False, help="What a latent-diffusion checkpoint was trained by."
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Make a prior of another program's model: diffusers (vae or vqvae, unet, scheduler) or CompVis latent diffusion.

    Nothing but weights and plain settings is read: a file that would run code is refused.
    """
    with screen() as show:
        show.progress(0, "reading the model")
        from ctresample.device import pick_device
        from ctresample.pipelines.prior_import import import_prior

        made = import_prior(
            source,
            out,
            validation,
            hu_range=hu_range,
            name=name,
            first_stage=first_stage,
            original_config=config,
            device=pick_device(device),
            on_progress=show.progress,
            on_note=show.note,
        )
    (_, most), *_, (_, least) = made.denoising_rmse_hu
    typer.echo(f"{out}: error {most:.4g} HU (most noise) to {least:.4g} HU (least); use it with --prior {out}")
