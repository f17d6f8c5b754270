"""JSON and YAML files of unknown origin: bounded before they are parsed, and YAML 1.2, where 1:30 is no number."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 2**20
"""Room for the angles of 50,000 views."""
MAX_NODES = 200_000
"""Keys, values, lists and mappings of a YAML file."""
MAX_DEPTH = 50

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is in C, and 20 times as fast


def read_json(path: Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, no JSON, nested too deeply, or has a key twice.
    """
    try:
        return json.loads(read_text(path, max_bytes=max_bytes), object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_yaml(path: Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """The content of a YAML file, its words read as YAML 1.2 (core schema) has them.

    Aliases are not allowed: they make a billion values of a kilobyte.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, no YAML, nested too deeply, or has a key twice or an alias.
    """
    text = read_text(path, max_bytes=max_bytes)
    try:
        _check_events(text)
        return yaml.load(text, _Loader)  # noqa: S506 - safe
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def read_text(path: Path, *, max_bytes: int = MAX_BYTES) -> str:
    """The content of a text file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, or no UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes >> 20} MiB")
    return content.decode("utf-8")


def _once(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    if not all(isinstance(key, str) for key, _ in pairs):
        raise ValueError("a key is no word")
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _check_events(text: str) -> None:
    """Look at the structure alone, which is quick, and needs no stack."""
    depth = n_nodes = 0
    for event in yaml.parse(text, _Base):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("aliases are not allowed")
        n_nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        if n_nodes > MAX_NODES:
            raise ValueError(f"it has over {MAX_NODES:,} values")


class _Loader(_Base):
    """Knows the words of YAML 1.2 (chapter 10.3.2) only, and each key once."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # of this class alone

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        return _once(
            [(self.construct_object(key, True), self.construct_object(value, True)) for key, value in node.value]
        )

    def construct_int(self, node: Any) -> int:
        return int(node.value, {"0o": 8, "0x": 16}.get(node.value[:2], 10))

    def construct_float(self, node: Any) -> float:
        return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))


for _kind, _form in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_form})\Z"), None)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_float)
