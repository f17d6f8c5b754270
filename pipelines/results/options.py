"""What becomes of a sinogram: the choices that all results follow from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ctresample.choices import CLEANING, FORMATS, INTERVALS, Cleaning, ViewWeights, Window
from ctresample.errors import UsageError
from ctresample.offered import METHOD, RESULTS, Offered
from ctresample.pipelines.reconstruction.coupling_strength import coupling_strength
from ctresample.pipelines.reconstruction.methods import BUNDLED, METHODS, PRESETS, method_named, methods_that_need
from ctresample.pipelines.reconstruction.physics import LINEAR, Physics


@dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """How to reconstruct, and what to write.

    Attributes:
        method: the name of one of `ctresample.pipelines.reconstruction.methods.METHODS`.
        preset: of a method that has presets.
        window: of the ramp filter, for FBP.
        view_weights: of FBP, see `ctresample.solvers.fbp`.
        clean: of `ctresample.choices.CLEANING`: what a detector got wrong, to be taken out first.
        physics: what the measurement is taken to be.
        z_coupling: how strongly neighbouring slices help each other: "auto", "none" or a strength as text.
        prior: name or folder of the learned model, for a method that needs one; None for the bundled one.
        seed: of methods that sample.
        formats: of `ctresample.choices.FORMATS`; kept in their order.
        residual_map: write where the image disagrees with the data.
        origin_map: write what of the image the data do not determine.
        tv_difference_map: write how far the image is from that of total variation, over square centimetres.
        uncertainty: reconstruct so often, with the seeds after the first, and write how the images differ.
        interval: coverage in per cent, of `ctresample.choices.INTERVALS`, of the intervals to write.
        calibration: file that intervals and bounds are taken from; None for those of the prior's folder.
        device: "auto", "cpu", "cuda" or one of several GPUs.

    Raises:
        UsageError: one of them is unknown or does not fit another.
    """

    method: Annotated[str, Offered("One of the methods above.", "NAME", choices=tuple(METHODS))] = "resample"
    preset: Annotated[
        str,
        Offered(
            "Of ReSample: fast; draft, a few steps only; quality, the mean of several samplings; paper, as published, "
            "or released_code, with what differs in its authors' code (both very slow without a GPU).",
            "|".join(PRESETS),
            choices=PRESETS,
        ),
    ] = "fast"
    window: Annotated[Window, Offered("Of FBP: how much noise it damps, least to most.", group=METHOD)] = "hann"
    view_weights: Annotated[
        ViewWeights,
        Offered(
            "Of FBP: a view counts by the arc to its neighbours, or (views in bursts, gated) all the same.",
            group=METHOD,
        ),
    ] = "arcs"
    clean: Annotated[
        tuple[Cleaning, ...],
        Offered(
            f"What the detector got wrong, to be taken out first: of {', '.join(CLEANING)}, with commas between, or "
            "none. run.json says what was found.",
            "LIST",
            group=METHOD,
        ),
    ] = ()
    physics: Physics = LINEAR
    z_coupling: Annotated[
        str,
        Offered(
            "How strongly neighbouring slices help each other (resample, tv, wls, pnp): auto, where they are less than "
            "5 mm apart; none; or a strength, 1 being that of auto. Never over a gap or where steps are uneven.",
            "auto|none|STRENGTH",
            group=METHOD,
        ),
    ] = "auto"
    prior: Annotated[
        str | None,
        Offered(
            "Learned model of a method that needs one: a bundled one, or a folder. Default: "
            f"{BUNDLED['latent prior']} for {methods_that_need('latent prior')}; {BUNDLED['fbp-unet']} for fbp-unet; "
            f"{methods_that_need('pixel prior')} need one of yours.",
            "NAME_OR_DIR",
        ),
    ] = None
    seed: Annotated[int, Offered("Start of all random numbers: the same seed gives the same result.", minimum=0)] = 0
    formats: Annotated[
        tuple[str, ...], Offered(f"Of {', '.join(FORMATS)}, with commas between.", "LIST", name="format", group=RESULTS)
    ] = ("dicom",)
    residual_map: Annotated[
        bool,
        Offered("Write where the image disagrees with the data: the smooth FBP of the misfit, in HU.", group=RESULTS),
    ] = False
    origin_map: Annotated[
        bool,
        Offered(
            "Write what of the image the data do not determine, so that it came from the method: in HU.", group=RESULTS
        ),
    ] = False
    tv_difference_map: Annotated[
        bool,
        Offered(
            "Write how far the image is from that of TV over each square centimetre, in HU: where it may be worse by "
            "so much, and nowhere else.",
            group=RESULTS,
        ),
    ] = False
    uncertainty: Annotated[
        int | None,
        Offered(
            "Reconstruct N times, with --seed and those after it, and write the standard deviation in HU: where "
            "the prior made up what the data leave open. For methods that draw random numbers.",
            "N",
            minimum=2,
            group=RESULTS,
        ),
    ] = None
    interval: Annotated[
        int | None,
        Offered(
            f"Write in which HU the truth of each pixel lies at so many per cent ({', '.join(map(str, INTERVALS))}): "
            "lower and upper end and half-width. Of scans that a calibration fits; see calibrate.",
            "PERCENT",
            group=RESULTS,
        ),
    ] = None
    calibration: Annotated[
        str | None,
        Offered(
            "Of `ctresample calibrate`, for intervals and bounds; default: the prior's own.", "FILE", group=RESULTS
        ),
    ] = None
    device: Annotated[str, Offered("Where to compute. auto: the GPU where there is one.", "auto|cpu|cuda")] = "cpu"

    def __post_init__(self) -> None:
        chosen = method_named(self.method)
        if not self.formats or not set(self.formats) <= set(FORMATS):
            raise UsageError(f"format is {','.join(self.formats)!r}; expected some of {', '.join(FORMATS)}")
        object.__setattr__(self, "formats", tuple(name for name in FORMATS if name in self.formats))
        coupling_strength(self.z_coupling)
        if self.clean == ("none",):
            object.__setattr__(self, "clean", ())
        if not set(self.clean) <= set(CLEANING):
            raise UsageError(f"clean is {','.join(self.clean)!r}; expected some of {', '.join(CLEANING)}, or none")
        object.__setattr__(self, "clean", tuple(name for name in CLEANING if name in self.clean))
        if self.uncertainty is not None and self.uncertainty < 2:
            raise UsageError(f"uncertainty is {self.uncertainty}; expected 2 or more reconstructions to compare")
        if self.tv_difference_map and self.method == "tv":
            raise UsageError(
                "tv_difference_map compares with tv, but the method is tv; leave it out, or choose another"
            )
        if self.uncertainty and not chosen.is_random:
            raise UsageError(
                f"uncertainty compares images of other random numbers, but {self.method} draws none; expected one of "
                f"{', '.join(name for name, one in METHODS.items() if one.is_random)}"
            )

        if self.interval is not None and self.interval not in INTERVALS:
            raise UsageError(f"interval is {self.interval}; expected one of {', '.join(map(str, INTERVALS))} per cent")

    @property
    def n_images(self) -> int:
        """Volumes written in each format: the reconstruction and its maps."""
        maps = self.residual_map + self.origin_map + self.tv_difference_map + bool(self.uncertainty)
        return 1 + maps + 3 * (self.interval is not None)

    @property
    def n_runs(self) -> int:
        """Reconstructions of each sinogram."""
        return self.uncertainty or 1

    def prior_name(self) -> str | None:
        """The learned model to load, None if the method needs none; `UsageError` if it has to be named."""
        chosen = method_named(self.method)
        return (self.prior or chosen.bundled_model()) if chosen.needs else None
