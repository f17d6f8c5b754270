"""``ctresample finetune``: go on training a prior's denoiser on other slices."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from ctresample.cli.train import OnlyTry, Out, Recipe, Slices, Validation, read_slices, say, show_dry_run


def finetune(
    prior: Annotated[
        str, typer.Argument(metavar="PRIOR", help="The prior to start from: a bundled one's name, or a folder.")
    ],
    slices_dir: Slices,
    validation: Validation,
    out: Out,
    recipe: Recipe = "ct256",
    lora: Annotated[
        int | None,
        typer.Option(metavar="RANK", min=1, help="Train low-rank updates of this rank only. Needs the package peft."),
    ] = None,
    dry_run: OnlyTry = False,
) -> None:
    """Train a prior further on slices of your own; the result is a prior of the same kind.

    The recipe's section finetune says how long. Killed or stopped, it goes on from its last checkpoint.
    """
    from ctresample.learned.folders import find_prior
    from ctresample.pipelines.training.dry_run import dry_run_diffusion
    from ctresample.pipelines.training.finetune import finetune as train_further
    from ctresample.pipelines.training.finetune import finetune_objective
    from ctresample.pipelines.training.prior_settings import FinetuneSettings
    from ctresample.pipelines.training.progress import progress_printer
    from ctresample.pipelines.training.recipe import read_recipe

    settings = read_recipe(recipe, "finetune", FinetuneSettings)
    if lora:
        settings = replace(settings, lora_rank=lora)
    find_prior(prior)  # before the slices are read, which takes longer
    slices, held_out = read_slices(slices_dir, validation)
    if dry_run:
        show_dry_run(dry_run_diffusion(lambda s: finetune_objective(prior, slices, held_out, s), settings))
        return
    on_step = progress_printer(settings.run.steps, say)
    train_further(prior, slices, held_out, out, settings, on_step=on_step)
    say(f"{out / 'prior'}: use it with --prior {out / 'prior'}")
