"""Options that several verbs share, and lists in one word."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ctresample.errors import UsageError
from ctresample.offered import RARE
from ctresample.pipelines.reconstruction.methods import METHODS, methods_that_need
from ctresample.pipelines.scan.scan import Scan

Name = TypeVar("Name", bound=str)

DEFAULT_SCAN = Scan(n_views=25)
"""Where a verb scans and nothing else is said."""

SOME_FAILED = 3
"""Exit status where some of the work failed and the rest is there."""


def interval(text: str) -> tuple[float, float]:
    """Two numbers with a colon between; `UsageError` otherwise."""
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        raise UsageError(f"{text!r} is no range; expected LOW:HIGH, such as -40:20") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"{text!r} is no range; expected two finite numbers")
    return low, high


METHOD_LIST = "Methods:\n" + "\n".join(f"[bold]{name}[/bold]: {method.title}" for name, method in METHODS.items())
"""For the help of verbs that take any."""
LATENT_METHODS, PIXEL_METHODS = methods_that_need("latent prior"), methods_that_need("pixel prior")

Every = Annotated[int, typer.Option(min=1, metavar="K", help="Use every K-th view only: sparse views of a full scan.")]
DicomFolder = Annotated[
    Path, typer.Argument(metavar="DICOM_DIR", exists=True, file_okay=False, help="Folder with the DICOM files.")
]
DicomImages = Annotated[
    Path,
    typer.Argument(
        metavar="DICOM", exists=True, help="CT images: a folder, an archive, a DICOMDIR, a DICOM or a volume file."
    ),
]
DicomPlace = Annotated[
    Path,
    typer.Argument(
        metavar="DICOM",
        exists=True,
        help="A CT series: a folder, an archive, a DICOMDIR or a DICOM file; or a NIfTI, NRRD or MHA file in HU.",
    ),
]
Series = Annotated[
    str | None,
    typer.Option(metavar="UID|KEY", help="Which series, where there are several: `ctresample info DICOM` lists them."),
]
OneSeries = Annotated[
    bool,
    typer.Option(
        "--one-series",
        help="Take the images of each folder as one series, whatever their UIDs: positions decide what fits together.",
    ),
]
AnyClass = Annotated[
    bool,
    typer.Option("--any-class", help="Take CT stored as another class, where Modality, HU and place are all there."),
]
Size = Annotated[int, typer.Option(min=16, help="Rows and columns of the reconstructed image.")]
NewSinogram = Annotated[
    Path, typer.Option("-o", "--out", metavar="FILE", help="The new sinogram file, such as scan.h5.")
]
Seed = Annotated[int, typer.Option(min=0, help="Start of all random numbers: the same seed gives the same result.")]
Device = Annotated[
    str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute. auto: the GPU where there is one.")
]
LatentPrior = Annotated[
    str, typer.Option(metavar="NAME_OR_DIR", help="Prior of the latent methods: a bundled one, or a folder.")
]
BatchSize = Annotated[
    int,
    typer.Option(min=1, help="Slices computed together: more is faster and takes more memory.", rich_help_panel=RARE),
]

AsJson = Annotated[bool, typer.Option("--json", help="The answer as JSON, for programs.")]
ArchiveNode = Annotated[str, typer.Argument(metavar="NODE", help="An archive by its name in the config file.")]
ArchiveConfig = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Where the archives are described. Without it: pacs.toml in your settings."
    ),
]


def print_json(answer: object) -> None:
    """An answer for programs, in ASCII: no name can make the terminal do anything."""
    typer.echo(json.dumps(answer, indent=1))


def archive_config(given: Path | None) -> Path:
    """The config file of archives: the one given, or pacs.toml where this platform keeps a user's settings."""
    return given or Path(typer.get_app_dir("ctresample")) / "pacs.toml"


def words(option: str, text: str) -> list[str]:
    """The parts of a comma-separated list, each once."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"{option} is {text!r}; expected a list with commas between, such as a,b")
    return list(dict.fromkeys(parts))


def some_of(option: str, text: str, names: Sequence[Name]) -> list[Name]:
    """The names in a comma-separated list, in their own order; the word ``none`` alone for an empty one."""
    parts = words(option, text)
    if parts != ["none"] and not set(parts) <= set(names):
        raise UsageError(f"{option} is {text!r}; expected some of {', '.join(names)}, with commas between, or none")
    return [name for name in names if name in parts]


def whole_numbers(option: str, text: str) -> list[int]:
    """The numbers of a comma-separated list, each once, all above 0."""
    parts = words(option, text)
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"{option} is {text!r}; expected whole numbers above 0 with commas between, such as 25,60")
    return list(dict.fromkeys(map(int, parts)))


def numbers(option: str, text: str) -> list[float]:
    """The finite numbers of a comma-separated list, each once."""
    try:
        found = [float(part) for part in words(option, text)]
    except ValueError:
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise UsageError(f"{option} is {text!r}; expected numbers with commas between, such as 4,8")
    return list(dict.fromkeys(found))


def doses(option: str, text: str) -> list[float | None]:
    """Photons a ray in a comma-separated list, each once; None for the word ``none``."""
    found: list[float | None] = []
    for part in words(option, text):
        dose = number_or(option, part, "none")
        if not isinstance(dose, str) and not (math.isfinite(dose) and dose > 0):
            raise UsageError(f"{option} is {text!r}; expected photons above 0, or none, with commas between")
        found.append(None if isinstance(dose, str) else dose)
    return list(dict.fromkeys(found))


def numbers_by_name(option: str, text: str) -> dict[str, int]:
    """Whole numbers above 0 in a list such as ``paper=6,dps=4``, by name."""
    found = {}
    for part in words(option, text):
        name, equals, number = part.partition("=")
        if not (name and equals and number.isdecimal() and int(number) > 0):
            raise UsageError(f"{option} is {text!r}; expected names with whole numbers above 0, such as paper=6")
        found[name] = int(number)
    return found


def number_or(option: str, text: str, word: str) -> float | str:
    """The number, or the word that may stand in its place."""
    if text == word:
        return word
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option} is {text!r}; expected a number or {word!r}") from None


def check_noise(photons: float | None, electronic_noise: float) -> None:
    """`UsageError` if electronic noise was asked for in a scan without noise: it would be left out in silence."""
    if photons is None and electronic_noise:
        raise UsageError(f"--electronic-noise is {electronic_noise:g}, but without --photons there is no noise; add it")


def check_effect(context: typer.Context, methods: Sequence[str]) -> None:
    """`UsageError` for an option that was given, but that none of the methods has a use for."""
    chosen = [METHODS[name] for name in methods]
    needed = {one.needs for one in chosen}
    of_verb = {parameter.name for parameter in context.command.params}
    useful = {
        "preset": any(one.has_presets for one in chosen),
        "window": "fbp" in methods,
        "view_weights": "fbp" in methods,
        "prior": "latent prior" in needed if "pixel_prior" in of_verb else needed != {""},
        "pixel_prior": "pixel prior" in needed,
        "fbp_unet": "fbp-unet" in needed,
    }
    for name in of_verb & useful.keys():
        if not useful[name] and was_given(context, name):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} has no effect on {', '.join(methods)}; leave it out, or choose a method that it is for"
            )


def was_given(context: typer.Context, name: str) -> bool:
    """Whether an option, by the name of its parameter, stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def without_noise(photons: float | None) -> str:
    """What to say of a scan without noise, which no scanner makes; empty of one with it."""
    return "" if photons is not None else ", no noise at all (--photons 1e5 adds what a scanner has)"
