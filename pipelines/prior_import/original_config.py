"""The YAML file that a latent diffusion model was trained by, asked for what its weights do not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctresample.bounded_files import read_yaml
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import PriorError

_MUST_BE_SAID = object()


class OriginalConfig:
    """Entries of the file by their place, such as ``model.params.scale_factor``.

    Args:
        path: the file; without one, only what has a default can be asked for.

    Attributes:
        assumed: what was taken by default because there is no file, in words.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._content, self.assumed = path, {}, list[str]()
        if path is None:
            return
        try:
            self._content = read_yaml(path)
        except (OSError, ValueError) as error:
            raise PriorError(
                f"{path} cannot be read as YAML ({one_line(str(error), 120)}); expected the training config"
            ) from None
        if not isinstance(self._content, dict):
            raise PriorError(f"{path} is no training config; expected entries under model, params")

    def get(self, place: str, default: Any = _MUST_BE_SAID, assumed: str = "") -> Any:
        """The entry at a place; where there is none, the default of the original program.

        Args:
            place: keys with dots between.
            default: of the original program; without one, the entry is a must.
            assumed: how to say the default, where taking it without a file is worth telling.

        Raises:
            PriorError: the entry is a must and is missing.
        """
        found: Any = self._content
        for key in place.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            return found
        if default is _MUST_BE_SAID:
            where = f"{self._path} has no {place}" if self._path else f"the weights do not say {place}"
            raise PriorError(f"{where}; name the YAML file the model was trained by with --config (this entry will do)")
        if self._path is None and assumed:
            self.assumed.append(f"{place} {assumed}")
        return default
