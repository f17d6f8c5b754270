"""A network of diffusers on disk."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusers import ModelMixin


def save_network(network: ModelMixin, folder: Path) -> None:
    """Write ``config.json`` and the weights in half precision (safetensors); the network stays as it is.

    Where it was loaded from, which diffusers would write beside its settings, is nobody's business.
    """
    copy.deepcopy(network).half().save_pretrained(folder)
    place = folder / "config.json"
    config = json.loads(place.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    place.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
