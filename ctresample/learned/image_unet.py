"""A U-Net trained to take the artefacts of sparse views out of FBP images, with what it was trained for.

Jin, McCann, Froustey and Unser, "Deep Convolutional Neural Network for Inverse Problems in Imaging", IEEE TIP 26(9),
2017: the network adds to the image what filtered back projection got wrong. Here it is small and works on pixels
stacked two by two, so that a CPU can train it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ctresample.bounded_files import read_json
from ctresample.choices import ModelKind, SliceBeam, Window
from ctresample.errors import PriorError
from ctresample.learned.folders import BUNDLED
from ctresample.paths import StrPath, as_path

CONFIG_NAME = "fbp-unet.json"
WEIGHTS = Path("network") / "weights.safetensors"
PATCH_SIZE = 2
HU_UNIT = 1000.0
"""The network's images are in units of this."""


@dataclass(frozen=True)
class ImageUNetConfig:
    """What a network was trained for; of other scans it knows nothing.

    Attributes:
        name: short name.
        n_views: views, equally spaced.
        arc_rad: that they spread over, end point excluded.
        beam: "parallel", "fan" or "fan-curved".
        image_size: rows and columns.
        photons: fewest and most photons a ray; None for scans without noise.
        window: of the ramp filter of the FBP images.
        channels: width of the network at each resolution.
        weights_sha256: of its file of weights.
        provenance: training data, licences, figures: whatever a reader should know.
    """

    name: str
    n_views: int
    arc_rad: float
    beam: SliceBeam
    image_size: int
    photons: tuple[float, float] | None
    window: Window
    channels: tuple[int, ...]
    weights_sha256: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: StrPath) -> ImageUNetConfig:
        """Read ``fbp-unet.json``; `PriorError` if it is missing or incomplete."""
        folder = as_path(folder, "folder")
        path = folder / CONFIG_NAME
        try:
            raw = read_json(path)
            photons = raw["photons"]
            if not 0 < len(raw["channels"]) <= 10 or not all(0 < int(width) <= 8192 for width in raw["channels"]):
                raise ValueError("channels are of no possible number or width")
            return cls(
                name=str(raw["name"]),
                n_views=int(raw["n_views"]),
                arc_rad=float(raw["arc_rad"]),
                beam=raw["beam"],
                image_size=int(raw["image_size"]),
                photons=photons and (float(photons[0]), float(photons[1])),
                window=raw["window"],
                channels=tuple(map(int, raw["channels"])),
                weights_sha256=str(raw["weights_sha256"]),
                provenance=dict(raw["provenance"]),
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            reason = f"{type(error).__name__} {error}"
            raise PriorError(
                f"{path} cannot be used: {reason}; expected what ctresample train fbp-unet wrote"
            ) from None


class ImageUNet(nn.Module):
    """FBP images in HU to images in HU.

    Args:
        config: see `ImageUNetConfig`.
    """

    kind: ClassVar[ModelKind] = "fbp-unet"

    def __init__(self, config: ImageUNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels
        stacked = PATCH_SIZE**2
        self.enter = nn.Conv2d(stacked, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_Block(width) for width in widths)
        self.up = nn.ModuleList(_Block(width) for width in widths[:-1])
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.halve = nn.ModuleList(nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairs)
        self.widen = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairs)
        self.leave = nn.Conv2d(widths[0], stacked, 3, padding=1)
        # an untrained network leaves the image as it is
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, hu: torch.Tensor) -> torch.Tensor:
        """Images ``(B, 1, rows, columns)`` in HU, sides a multiple of `size_multiple`, without their artefacts."""
        u = hu / HU_UNIT
        x = self.enter(F.pixel_unshuffle(u, PATCH_SIZE))
        seen = []
        for block, halve in zip(self.down, [*self.halve, None], strict=True):
            x = block(x)
            seen.append(x)
            x = x if halve is None else halve(x)
        for block, widen, fine in zip(self.up[::-1], self.widen[::-1], seen[-2::-1], strict=True):
            x = block(fine + F.interpolate(widen(x), scale_factor=2.0))
        return HU_UNIT * (u + F.pixel_shuffle(self.leave(x), PATCH_SIZE))

    @property
    def size_multiple(self) -> int:
        """Image sides must be multiples of this."""
        return int(PATCH_SIZE * 2 ** (len(self.config.channels) - 1))

    @property
    def name(self) -> str:
        """As its config calls it."""
        return self.config.name

    @property
    def sha256(self) -> str:
        """Over the weights, for provenance."""
        return self.config.weights_sha256

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """`PriorError` unless images of ``(rows, columns)`` are of the size trained on."""
        size, found = self.config.image_size, " x ".join(map(str, shape))
        if len(shape) == 3:
            raise PriorError(
                f"fbp-unet {self.config.name} takes slices one by one; the image grid is a volume of {found}; choose "
                "another method, such as tv"
            )
        if tuple(shape) != (size, size):
            raise PriorError(
                f"fbp-unet {self.config.name} was trained on {size} x {size} pixels; the image grid is {found}; choose "
                "that size, or train another"
            )

    @classmethod
    def from_pretrained(cls, name_or_folder: StrPath, device: torch.device | str = "cpu") -> ImageUNet:
        """Load a bundled network by name, or one from a folder that `save_pretrained` wrote.

        Raises:
            PriorError: no such network, or one that is incomplete or damaged.
        """
        folder = find_image_unet(name_or_folder)
        config = ImageUNetConfig.load(folder)
        path = folder / WEIGHTS
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != config.weights_sha256:
                raise PriorError(
                    f"{path} has SHA-256 {found[:12]}..., but {CONFIG_NAME} says {config.weights_sha256[:12]}...; get "
                    "both files again"
                )
            network = cls(config)
            network.load_state_dict({name: weight.float() for name, weight in load_file(path).items()})
        except (OSError, SafetensorError, RuntimeError, ValueError, IndexError) as error:
            reason = str(error).strip().splitlines()[0]
            raise PriorError(f"{folder} cannot be loaded as an fbp-unet: {reason}; get it again") from None
        return network.eval().requires_grad_(False).to(device)

    def save_pretrained(self, folder: StrPath) -> None:
        """Write ``network/weights.safetensors`` (half precision) and ``fbp-unet.json``."""
        folder = as_path(folder, "folder")
        path = folder / WEIGHTS
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: weight.half().cpu().contiguous() for name, weight in self.state_dict().items()}, path)
        config = replace(self.config, weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        (folder / CONFIG_NAME).write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")


class _Block(nn.Module):
    """Two convolutions beside the identity; without normalisation, which would lose the HU scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


def find_image_unet(name_or_folder: StrPath) -> Path:
    """Folder of a network, bundled or the user's; `PriorError` if there is none."""
    for folder in (Path(name_or_folder), BUNDLED / str(name_or_folder)):
        if (folder / CONFIG_NAME).is_file():
            return folder
    bundled = sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG_NAME}"))
    raise PriorError(
        f"no fbp-unet {str(name_or_folder)!r}: expected a folder with {CONFIG_NAME}, from ctresample train fbp-unet, "
        f"or one of {bundled}"
    )
