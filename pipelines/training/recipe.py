"""Training recipes: YAML files with one section for the autoencoder and one for the diffusion model."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from ctresample.bounded_files import read_yaml
from ctresample.errors import UsageError

S = TypeVar("S")
FOLDER = Path(__file__).parent.parent / "recipes"


def read_recipe(name_or_file: str, section: str, kind: type[S]) -> S:
    """One section of a recipe, checked.

    Args:
        name_or_file: a shipped recipe ("ct256", "toy") or a YAML file.
        section: such as "autoencoder".
        kind: settings class to make.

    Raises:
        UsageError: no such recipe, or one with a missing or unknown entry.
    """
    path = next((p for p in (Path(name_or_file), FOLDER / f"{name_or_file}.yaml") if p.is_file()), None)
    if path is None:
        shipped = ", ".join(sorted(p.stem for p in FOLDER.glob("*.yaml")))
        raise UsageError(f"no recipe {name_or_file!r}: expected a YAML file or one of {shipped}")
    try:
        return TypeAdapter(kind).validate_python(read_yaml(path)[section])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in (section, *first["loc"]))
        raise UsageError(f"{path}: {where}: {first['msg']}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} has no usable section {section!r}: {type(error).__name__}") from None
