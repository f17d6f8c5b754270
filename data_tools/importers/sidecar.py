"""The file beside a file of readings that says what they are: JSON or YAML."""

from __future__ import annotations

from pathlib import Path

from ctresample.bounded_files import read_json, read_yaml
from ctresample.data_tools.importers.readings import Facts
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import SinogramError

SUFFIXES = (".json", ".yaml", ".yml")


def find_sidecar(path: Path) -> Path | None:
    """NAME.json, NAME.yaml or NAME.yml beside a file or folder NAME.*; else geometry.json (or YAML) there, or None."""
    whole = path.resolve()  # "." has neither a name nor a parent
    for stem, folders in (
        (whole.stem, [whole.parent]),
        ("geometry", [whole, whole.parent] if whole.is_dir() else [whole.parent]),
    ):
        found = [place for folder in folders for suffix in SUFFIXES if (place := folder / f"{stem}{suffix}").is_file()]
        found = list({place.resolve(): place for place in found}.values())  # "." and its parent are one folder
        if len(found) > 1:
            raise SinogramError(
                f"{path} has two sidecars, {found[0].name} and {found[1].name}; name one with --geometry"
            )
        if found:
            return found[0]
    return None


def read_sidecar(path: Path) -> Facts:
    """The keys of a sidecar, not yet checked; `SinogramError` if it is no JSON or YAML, or made to do harm."""
    try:
        found = read_json(path) if path.suffix == ".json" else read_yaml(path)
    except OSError as error:
        raise SinogramError(f"{path} cannot be read ({error.strerror}); expected a JSON or YAML file") from error
    except ValueError as error:
        raise SinogramError(f"{path} is no valid JSON or YAML ({one_line(str(error), 120)}); correct it") from error
    if not isinstance(found, dict):
        raise SinogramError(f"{path} holds no keys; expected quantity, axes, geometry and so on")
    return found
