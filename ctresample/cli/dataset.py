"""``ctresample dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctresample.cli import options
from ctresample.cli.screen import say, screen


def dataset(
    places: Annotated[
        list[Path],
        typer.Argument(
            metavar="DICOM...", exists=True, help="CT images: folder trees, archives, DICOM or volume files."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="New or empty folder for the shards.")],
    licence: Annotated[
        str, typer.Option(metavar="TEXT", help="Licence of the images and where they are from; kept in each shard.")
    ] = "",
    validation_share: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Share of the patients that are kept for validation.")
    ] = 0.1,
    any_class: options.AnyClass = False,
) -> None:
    """Make a training set of your own CT images: shards that train faster than DICOM and hold no identifiers.

    Takes every axial CT image found there: patients and series may be mixed. Writes OUT/train and OUT/val,
    of different patients, and OUT/dataset.json. Images that cannot be told to be in HU are left out and counted.
    """
    from ctresample.files import whole_folder

    with screen() as show, whole_folder(out) as folder:
        show.progress(0, "looking for CT images")
        from ctresample.data_tools.shards.summary import summary_lines
        from ctresample.data_tools.shards.write import write_dataset

        manifest, rejected = write_dataset(
            places,
            folder,
            licence=licence,
            validation_share=validation_share,
            any_class=any_class,
            progress=show.progress,
        )
    for line in summary_lines(manifest, rejected, out):
        say(line)
    if {"train", "val"} <= set(manifest.splits):
        say(f"Next: ctresample train autoencoder {out / 'train'} --validation {out / 'val'} -o run")
