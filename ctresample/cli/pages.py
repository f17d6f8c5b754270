"""What stands below the help of every verb: an example, and the page that says more."""

from __future__ import annotations

from pathlib import Path

import ctresample

DOCS = Path(ctresample.__file__).parent / "docs"
"""Comes with the package, so that the pages are those of this version and need no network."""

PAGES = {
    "demo": "start.md",
    "simulate": "geometry.md",
    "import": "sinograms.md",
    "align": "scanners.md",
    "lower-dose": "sinograms.md",
    "reconstruct": "export.md",
    "batch": "batch.md",
    "benchmark": "resample.md",
    "lesions": "tasks.md",
    "calibrate": "trust.md",
    "dataset": "training.md",
    "finetune": "training.md",
    "fetch": "pacs.md",
    "send": "pacs.md",
    "info": "reading.md",
    "doctor": "start.md",
    "train autoencoder": "training.md",
    "train prior": "training.md",
    "train coarse": "training.md",
    "train pixel-prior": "training.md",
    "train fbp-unet": "training.md",
    "prior import": "priors.md",
    "prior card": "priors.md",
    "prior push": "priors.md",
}
"""Of each verb."""

_EXAMPLE, _PAGE = "Example: ", "More: "


def epilog(verb: str, example: str) -> str:
    """Both, as typer takes it; of the example what follows the verb."""
    page = str(DOCS / PAGES[verb]).replace("[", "\\[")
    return f"{_EXAMPLE}[bold]ctresample {f'{verb} {example}'.rstrip()}[/bold]\n\n{_PAGE}{page}"


def example_of(text: str) -> str:
    """The example alone, of an epilog."""
    return text.partition("\n")[0].removeprefix(_EXAMPLE).replace("[bold]", "").replace("[/bold]", "")
