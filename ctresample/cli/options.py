"""Options that several verbs share, and lists in one word."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctresample.choices import FORMATS, Beam, Model, ViewWeights, Window
from ctresample.errors import UsageError
from ctresample.pipelines.methods import BUNDLED, METHODS

if TYPE_CHECKING:
    from ctresample.pipelines.scan_settings import ScanSettings

SOME_FAILED = 3
"""Exit status where some of the work failed and the rest is there."""

SCANNER, DOSE, RESULTS = "Scanner", "Dose", "Results"  # groups of options in the help


def one_of(names: Collection[str]) -> Callable[[str], str]:
    """A check of an option's value, for a choice that is made of a table."""

    def check(value: str) -> str:
        if value not in names:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(names)}.")
        return value

    return check


PRESETS = tuple(name for method in METHODS.values() for name in method.presets)
METHOD_LIST = "Methods:\n" + "\n".join(f"[bold]{name}[/bold]: {method.title}" for name, method in METHODS.items())
"""For the help of verbs that take any."""
LATENT_METHODS, PIXEL_METHODS = (
    ", ".join(name for name, method in METHODS.items() if method.needs == kind)
    for kind in ("latent prior", "pixel prior")
)

Method = Annotated[str, typer.Option(metavar="NAME", callback=one_of(METHODS), help="One of the methods above.")]
Preset = Annotated[
    str,
    typer.Option(
        metavar="|".join(PRESETS),
        callback=one_of(PRESETS),
        help="Of ReSample: fast; quality, the mean of several samplings; paper, as published, or released_code, with "
        "what differs in its authors' code (both very slow without a GPU).",
    ),
]
Every = Annotated[int, typer.Option(min=1, metavar="K", help="Use every K-th view only: sparse views of a full scan.")]
FbpWindow = Annotated[Window, typer.Option(help="Of FBP: how much noise it damps, least to most.")]
ViewWeightsOption = Annotated[
    ViewWeights,
    typer.Option(help="Of FBP: a view counts by the arc to its neighbours, or (views in bursts, gated) all the same."),
]
FitModel = Annotated[
    Model, typer.Option(help="What to fit: line integrals, or photon counts (better where few arrive).")
]
TubeKilovolts = Annotated[
    float | None,
    typer.Option(metavar="KV", help="Undo the beam hardening of a tube at this voltage in water and bone."),
]
Prior = Annotated[
    str | None,
    typer.Option(
        metavar="NAME_OR_DIR",
        help="Learned model of a method that needs one: a bundled one, or a folder. Default: "
        f"{BUNDLED['latent prior']} for {LATENT_METHODS}; {BUNDLED['fbp-unet']} for fbp-unet; "
        f"{PIXEL_METHODS} need one of yours.",
    ),
]
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
AllowGaps = Annotated[
    bool, typer.Option("--allow-gaps", help="Take series whose slices are not evenly spaced, each where it lies.")
]
ResampleTilt = Annotated[
    bool, typer.Option("--resample-tilt", help="Take series of a tilted gantry: slices are shifted upright.")
]
EvenSteps = Annotated[
    float | None,
    typer.Option(
        "--even-steps",
        metavar="MM",
        help="Interpolate series whose slices are not evenly spaced, to steps of MM mm.",
    ),
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
Views = Annotated[int, typer.Option(min=1, help="Projection angles, equally spaced.", rich_help_panel=SCANNER)]
ScanBeam = Annotated[
    Beam,
    typer.Option(
        help="Parallel rays, a fan on a flat or curved detector, or a cone that sees all slices at once.",
        rich_help_panel=SCANNER,
    ),
]
ArcDeg = Annotated[
    str | None,
    typer.Option(
        metavar="DEG|short",
        help="Arc of the views. short: 180° and the fan angle. Default: 180° parallel, 360° fan and cone.",
        rich_help_panel=SCANNER,
    ),
]
DetectorOffset = Annotated[float, typer.Option(metavar="MM", help="Shift of the detector.", rich_help_panel=SCANNER)]
AxisOffset = Annotated[
    float,
    typer.Option(metavar="MM", help="Central ray to rotation axis (not parallel).", rich_help_panel=SCANNER),
]
SourceToAxis = Annotated[
    float | None, typer.Option(metavar="MM", help="Default: 595, a clinical scanner.", rich_help_panel=SCANNER)
]
SourceToDetector = Annotated[
    float | None, typer.Option(metavar="MM", help="Default: 1085.6, the same.", rich_help_panel=SCANNER)
]
Blur = Annotated[
    float,
    typer.Option(metavar="MM", help="Width (FWHM) of the detector's point spread.", rich_help_panel=SCANNER),
]
Crosstalk = Annotated[
    float,
    typer.Option(metavar="SHARE", help="Signal each bin passes to a neighbour.", rich_help_panel=SCANNER),
]
BowTie = Annotated[
    float | None,
    typer.Option(metavar="MM", help="Bow-tie filter for a water cylinder of this diameter.", rich_help_panel=DOSE),
]
TubeCurrentModulation = Annotated[
    float,
    typer.Option(
        metavar="STRENGTH", help="How far the current follows the patient: 0 not, 0.5 best.", rich_help_panel=DOSE
    ),
]
NewSinogram = Annotated[
    Path, typer.Option("-o", "--out", metavar="FILE", help="The new sinogram file, such as scan.h5.")
]
Photons = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="Photons sent along each ray, such as 1e5. Without it: no noise.", rich_help_panel=DOSE
    ),
]
ElectronicNoise = Annotated[
    float,
    typer.Option(
        metavar="SD",
        help="Read-out noise of the detector in photons; counts with --photons only.",
        rich_help_panel=DOSE,
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Start of all random numbers: the same seed gives the same result.")]
Device = Annotated[
    str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute. auto: the GPU where there is one.")
]
Formats = Annotated[
    str,
    typer.Option(
        "--format", metavar="LIST", help=f"Of {', '.join(FORMATS)}, with commas between.", rich_help_panel=RESULTS
    ),
]
ResidualMap = Annotated[
    bool,
    typer.Option(
        "--residual-map",
        help="Write where the image disagrees with the data: the smooth FBP of the misfit, in HU.",
        rich_help_panel=RESULTS,
    ),
]
Uncertainty = Annotated[
    int | None,
    typer.Option(
        min=2,
        metavar="N",
        help="Reconstruct N times, with --seed and those after it, and write the standard deviation in HU: where "
        "the prior made up what the data leave open. For methods that draw random numbers.",
        rich_help_panel=RESULTS,
    ),
]
LatentPrior = Annotated[
    str, typer.Option(metavar="NAME_OR_DIR", help="Prior of the latent methods: a bundled one, or a folder.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Slices computed together: more is faster and takes more memory.")]

ArchiveNode = Annotated[str, typer.Argument(metavar="NODE", help="An archive by its name in the config file.")]
ArchiveConfig = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Where the archives are described. Without it: pacs.toml in your settings."
    ),
]


def archive_config(given: Path | None) -> Path:
    """The config file of archives: the one given, or pacs.toml where this platform keeps a user's settings."""
    return given or Path(typer.get_app_dir("ctresample")) / "pacs.toml"


def words(option: str, text: str) -> list[str]:
    """The parts of a comma-separated list, each once."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"{option} is {text!r}; expected a list with commas between, such as a,b")
    return list(dict.fromkeys(parts))


def whole_numbers(option: str, text: str) -> list[int]:
    """The numbers of a comma-separated list, each once, all above 0."""
    parts = words(option, text)
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"{option} is {text!r}; expected whole numbers above 0 with commas between, such as 25,60")
    return list(dict.fromkeys(map(int, parts)))


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


def formats(text: str) -> tuple[str, ...]:
    """The formats of ``--format``."""
    return tuple(words("--format", text))


def check_noise(photons: float | None, electronic_noise: float) -> None:
    """`UsageError` if electronic noise was asked for in a scan without noise: it would be left out in silence."""
    if photons is None and electronic_noise:
        raise UsageError(f"--electronic-noise is {electronic_noise:g}, but without --photons there is no noise; add it")


def scan_settings(
    *,
    arc_deg: str | None,
    blur_mm: float,
    crosstalk: float,
    bow_tie_mm: float | None,
    tube_current_modulation: float,
    **others: Any,
) -> ScanSettings:
    """The simulated scan of the options in the groups `SCANNER` and `DOSE`, checked as far as they go without it.

    Args:
        arc_deg: degrees, ``short`` or None.
        blur_mm: of the scanner, as are the next three.
        crosstalk: see above.
        bow_tie_mm: see above.
        tube_current_modulation: see above.
        others: of `ScanSettings`.
    """
    check_noise(others["photons"], others["electronic_noise"])
    arc = None if arc_deg is None else number_or("--arc-deg", arc_deg, "short")
    from ctresample.noise import Scanner
    from ctresample.pipelines.scan_settings import ScanSettings

    return ScanSettings(
        arc_rad="short" if isinstance(arc, str) else arc and math.radians(arc),
        scanner=Scanner(
            bow_tie_mm=bow_tie_mm,
            tube_current_modulation=tube_current_modulation,
            blur_mm=blur_mm,
            crosstalk=crosstalk,
        ),
        **others,
    )
