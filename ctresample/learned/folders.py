"""Where the folders of priors are, and what tells one from another."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ctresample.errors import PriorError
from ctresample.learned.prior_config import CONFIG_NAME, PriorConfig
from ctresample.paths import StrPath, as_path

BUNDLED = Path(__file__).parents[1] / "priors"


HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""``OWNER/NAME`` of a repository on the Hugging Face hub."""


def find_prior(name_or_folder: StrPath) -> Path:
    """Folder of a prior: bundled, the user's, or fetched from the hub before; `PriorError` if there is none."""
    for folder in (Path(name_or_folder), BUNDLED / str(name_or_folder)):
        if (folder / CONFIG_NAME).is_file():
            return folder
    if Path(name_or_folder).exists():
        PriorConfig.load(Path(name_or_folder))
    bundled = sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG_NAME}"))
    hint = ""
    if HUB_NAME.fullmatch(str(name_or_folder)):
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(str(name_or_folder), CONFIG_NAME)
        if isinstance(found, str):
            return Path(found).parent
        hint = f"; of the hub: fetch it first, by hf download {name_or_folder}, for nothing is downloaded unasked"
    raise PriorError(
        f"no prior {str(name_or_folder)!r}: expected a folder with {CONFIG_NAME} or one of {bundled}{hint}"
    )


def weights_sha256(folder: StrPath) -> str:
    """One hash over all weight files of a prior, for provenance."""
    folder = as_path(folder, "folder")
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*/*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
