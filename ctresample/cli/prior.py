"""``ctresample prior``: what one does with a prior besides training it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli.options import Device, Seed
from ctresample.cli.pages import epilog
from ctresample.cli.screen import say, screen

prior = typer.Typer(
    help="Make a prior of a diffusion model that others have trained, or a model card of a prior, or publish it."
)


@prior.command(
    "import",
    epilog=epilog("prior import", "lodochallenge/ -o my-prior --hu-range -1024 3071 --validation val/"),
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
    """Make a prior of another program's model: diffusers (unet, scheduler, vae or vqvae) or CompVis latent diffusion.

    A diffusers DDPM, which has no vae, becomes a pixel prior, for dps, mcg, dds and diffpir; others, latent priors.

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
    say(f"{out}: error {most:.4g} HU (most noise) to {least:.4g} HU (least); use it with --prior {out}")


@prior.command(epilog=epilog("prior card", "run/prior --training train/ --validation val/ --run run -o card"))
def card(
    prior_dir: Annotated[str, typer.Argument(metavar="PRIOR_DIR", help="Folder of a prior, or a bundled one's name.")],
    training: Annotated[
        Path,
        typer.Option(
            metavar="DIR", exists=True, file_okay=False, help="All slices it was trained on: DICOM or shards."
        ),
    ],
    validation: Annotated[
        Path, typer.Option(metavar="DIR", exists=True, file_okay=False, help="Slices that the training stopped on.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="CARD_DIR", help="New or empty folder, or an old card.")],
    test: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", exists=True, file_okay=False, help="Slices of patients that no choice was made on."
        ),
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(metavar="RUN_DIR", exists=True, file_okay=False, help="Training run to draw; may be repeated."),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.md",
            exists=True,
            dir_okay=False,
            help="Your words in Markdown: licences, DOIs, intended use, limits.",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME_OR_DIR", help="Prior whose denoising error stands beside; may be repeated."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Images to draw from noise.")] = 16,
    steps: Annotated[int, typer.Option(min=2, help="Sampling steps of each.")] = 100,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Measure a prior and write its model card: README.md, pictures, and card.json with every figure.

    Errors of the autoencoder by tissue, denoising error at each noise level, images drawn from noise, and whether any
    of these is a copy of a training slice. The pictures show slices of the folders given. Takes about five minutes.
    """
    with screen() as show:
        show.progress(0, "loading")
        from ctresample.device import pick_device
        from ctresample.pipelines.model_card.making import make_card

        concluded = make_card(
            prior_dir,
            out,
            training=training,
            validation=validation,
            test=test,
            runs=run or (),
            text=text,
            against=against or (),
            n_samples=samples,
            steps=steps,
            seed=seed,
            device=pick_device(device),
            on_progress=show.progress,
            on_note=show.note,
        )
    say(f"{out / 'README.md'}: {concluded}")


@prior.command(epilog=epilog("prior push", "run/prior my-lab/chest-ct --dry-run"))
def push(
    prior_dir: Annotated[str, typer.Argument(metavar="PRIOR_DIR", help="Folder of a prior, or a bundled one's name.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="On the Hugging Face hub; made if missing.")],
    private: Annotated[bool, typer.Option("--private", help="Of a repository that is made: only you see it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files that would be pushed.")] = False,
) -> None:
    """Publish a prior on the Hugging Face hub, with its model card.

    Weights, configs, card and the card's pictures, which show slices: what the licences of the training data allow is
    for you to know. Needs `hf auth login` once. To use it elsewhere: `hf download OWNER/NAME`, then --prior OWNER/NAME;
    nothing is downloaded unasked.
    """
    with screen() as show:
        show.progress(0, "gathering the files")
        from ctresample.pipelines.hub import push as push_prior

        files, url = push_prior(prior_dir, repository, private=private, dry_run=dry_run, on_progress=show.progress)
    for name in files:
        say(name)
    say(f"{len(files)} files; nothing was pushed" if dry_run else f"{len(files)} files: {url}")
