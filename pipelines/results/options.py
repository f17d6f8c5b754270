"""What becomes of a sinogram: the choices that all results follow from."""

from __future__ import annotations

from dataclasses import dataclass

from ctresample.choices import FORMATS, ViewWeights, Window
from ctresample.errors import UsageError
from ctresample.pipelines.methods import METHODS, method_named
from ctresample.pipelines.physics import LINEAR, Physics


@dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """How to reconstruct, and what to write.

    Attributes:
        method: the name of one of `ctresample.pipelines.methods.METHODS`.
        preset: of a method that has presets.
        window: of the ramp filter, for FBP.
        view_weights: of FBP, see `ctresample.solvers.fbp`.
        physics: what the measurement is taken to be.
        prior: name or folder of the learned model, for a method that needs one; None for the bundled one.
        seed: of methods that sample.
        formats: of `ctresample.choices.FORMATS`; kept in their order.
        residual_map: write where the image disagrees with the data.
        uncertainty: reconstruct so often, with the seeds after the first, and write how the images differ.
        device: "auto", "cpu", "cuda" or one of several GPUs.

    Raises:
        UsageError: one of them is unknown or does not fit another.
    """

    method: str = "resample"
    preset: str = "fast"
    window: Window = "hann"
    view_weights: ViewWeights = "arcs"
    physics: Physics = LINEAR
    prior: str | None = None
    seed: int = 0
    formats: tuple[str, ...] = ("dicom",)
    residual_map: bool = False
    uncertainty: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        chosen = method_named(self.method)
        if not self.formats or not set(self.formats) <= set(FORMATS):
            raise UsageError(f"format is {','.join(self.formats)!r}; expected some of {', '.join(FORMATS)}")
        object.__setattr__(self, "formats", tuple(name for name in FORMATS if name in self.formats))
        if self.uncertainty is not None and self.uncertainty < 2:
            raise UsageError(f"uncertainty is {self.uncertainty}; expected 2 or more reconstructions to compare")
        if self.uncertainty and not chosen.is_random:
            raise UsageError(
                f"uncertainty compares images of other random numbers, but {self.method} draws none; expected one of "
                f"{', '.join(name for name, one in METHODS.items() if one.is_random)}"
            )

    @property
    def n_runs(self) -> int:
        """Reconstructions of each sinogram."""
        return self.uncertainty or 1

    def prior_name(self) -> str | None:
        """The learned model to load, None if the method needs none; `UsageError` if it has to be named."""
        chosen = method_named(self.method)
        return (self.prior or chosen.bundled_model()) if chosen.needs else None
