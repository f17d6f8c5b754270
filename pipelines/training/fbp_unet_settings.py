"""Settings of the training of a U-Net on FBP images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ctresample.choices import SliceBeam, Window
from ctresample.errors import UsageError
from ctresample.pipelines.scan.scan import Scan
from ctresample.pipelines.training.settings import RunSettings


@dataclass(frozen=True)
class FBPUNetSettings:
    """The scans that it is trained for, and the network.

    Attributes:
        run: the training run.
        name: of the network.
        n_views: views, equally spaced over 180 degrees (parallel) or 360.
        beam: "parallel", "fan" or "fan-curved".
        photons: fewest and most photons a ray, in between drawn evenly on a logarithmic scale; None for no noise.
        image_size: rows and columns.
        field_of_view_mm: smallest and largest side of an image, in between drawn evenly: it tells how much the body
            absorbs, and so the noise.
        window: of the ramp filter.
        channels: width of the network at each resolution.
        pool: images scanned once, before the training; it draws from these, mirrored.
        provenance: copied to the config: data, licences.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a recipe with a misspelt entry is refused

    run: RunSettings
    name: str = "fbp-unet"
    n_views: int = 25
    beam: SliceBeam = "parallel"
    photons: tuple[float, float] | None = (1e5, 1e5)
    image_size: int = 256
    field_of_view_mm: tuple[float, float] = (300.0, 500.0)
    window: Window = "hann"
    channels: tuple[int, ...] = (32, 64, 96, 128)
    pool: int = 800
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("photons", "field_of_view_mm"):
            value = getattr(self, name)
            if value is not None and not 0 < value[0] <= value[1]:
                raise UsageError(f"training: {name} is {value}; expected two numbers above 0, the smaller first")
        multiple = 2 ** len(self.channels)
        if not self.channels or self.image_size < 1 or self.image_size % multiple:
            raise UsageError(
                f"training: image_size is {self.image_size} and channels {list(self.channels)}; expected one width or "
                "more, and a multiple of 2 times a halving for each further width"
            )
        if self.pool < 1 or self.n_views < 2:
            raise UsageError(
                f"training: pool is {self.pool} and n_views {self.n_views}; expected 1 or more, and 2 or more"
            )

    def scan(self, photons: float | None) -> Scan:
        """The scan of one batch, with so many photons a ray."""
        return Scan(n_views=self.n_views, beam=self.beam, size=self.image_size, photons=photons)
