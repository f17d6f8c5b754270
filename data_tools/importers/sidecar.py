"""The file beside a file of readings that says what they are: JSON or YAML."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from ctresample.data_tools.importers.readings import Facts
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import SinogramError

SUFFIXES = (".json", ".yaml", ".yml")
MAX_BYTES = 2**20
"""Room for the angles of 50,000 views."""


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
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SinogramError(f"{path} is larger than {MAX_BYTES >> 20} MiB; expected a description of a scan")
        text = content.decode("utf-8")
        is_json = path.suffix == ".json"
        found = json.loads(text, object_pairs_hook=_once) if is_json else yaml.load(text, _Loader)  # noqa: S506 - safe
    except OSError as error:
        raise SinogramError(f"{path} cannot be read ({error.strerror}); expected a JSON or YAML file") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise SinogramError(f"{path} is no valid JSON or YAML ({one_line(str(error), 120)}); correct it") from error
    if not isinstance(found, dict):
        raise SinogramError(f"{path} holds no keys; expected quantity, axes, geometry and so on")
    return found


def _once(pairs: list[tuple[str, Any]]) -> Facts:
    if not all(isinstance(key, str) for key, _ in pairs):
        raise ValueError("a key is no word")
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


class _Loader(yaml.SafeLoader):
    """Without aliases, which can make a billion values of a kilobyte, and with 1e5 as a number."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        return _once(
            [
                (self.construct_object(key, deep=True), self.construct_object(value, deep=True))
                for key, value in node.value
            ]
        )


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
