"""Archives by name: the config file ``pacs.toml``, and credentials from the environment."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, SecretStr, ValidationError, field_validator, model_validator

from ctresample.data_tools.pacs.tls import Tls
from ctresample.data_tools.plain_text import one_line
from ctresample.data_tools.sinogram.schema import Strict
from ctresample.errors import ArchiveError
from ctresample.paths import StrPath, as_path

AeTitle = Annotated[str, Field(max_length=16, pattern=r"^[!-\[\]-~]([ -\[\]-~]*[!-\[\]-~])?$")]
Port = Annotated[int, Field(ge=1, le=65535)]
_SECRETS = ("password", "token")
_MAX_BYTES = 2**20


class _Node(Strict):
    name: str
    tls: Tls | None = None
    timeout_s: PositiveFloat = 60.0


class DimseNode(_Node):
    """An archive that speaks classic DICOM networking.

    Attributes:
        name: of the node in the config file.
        host: name or address.
        port: of the archive.
        ae_title: of the archive.
        own_ae_title: ours, as the archive knows it.
        retrieve: "get" (C-GET, over the connection we open) or "move" (C-MOVE, over one the archive opens to us).
        own_port: where we listen for the images of a C-MOVE.
        own_address: the address of this machine to listen on; None for the one by which it reaches the archive.
        senders: further hosts and addresses from which the archive sends the images of a C-MOVE.
        tls: encryption; None for none.
        timeout_s: longest wait for each answer.
    """

    type: Literal["dimse"]
    host: Annotated[str, Field(min_length=1)]
    port: Port
    ae_title: AeTitle
    own_ae_title: AeTitle = "CTRESAMPLE"
    retrieve: Literal["get", "move"] = "get"
    own_port: Port | None = None
    own_address: Annotated[str, Field(min_length=1)] | None = None
    senders: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.retrieve == "move") != (self.own_port is not None):
            raise ValueError('retrieve = "move" and own_port, where the archive sends its images, go together')
        if self.retrieve == "get" and (self.own_address or self.senders):
            raise ValueError('own_address and senders are for retrieve = "move"')
        if self.retrieve == "move" and self.tls and self.tls.certificate_file is None:
            raise ValueError('retrieve = "move" over TLS needs tls.certificate_file, to answer the archive')
        return self

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.name} ({self.host}:{self.port})"


class DicomwebNode(_Node):
    """An archive that speaks DICOMweb.

    Attributes:
        name: of the node in the config file.
        url: of the service, such as ``https://pacs.example/dicom-web``.
        user: for basic authentication, with ``password``.
        token: a bearer token, instead of both.
        tls: a CA or client certificate of its own; without, what the system's Python trusts.
        timeout_s: longest wait for each answer.
    """

    type: Literal["dicomweb"]
    url: str
    user: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("expected an address such as https://pacs.example/dicom-web")
        if parts.username is not None or parts.password is not None:
            raise ValueError("expected no user and password in the address; use the keys user and password")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.user is None) != (self.password is None) or (self.user is not None and self.token is not None):
            variable = _variable(self.name, "password")
            raise ValueError(f"expected user and password (also as {variable}), a token, or none of them")
        if self.tls and not self.url.startswith("https:"):
            raise ValueError("tls is set, but the address does not begin with https")
        return self

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.name} ({self.url})"


Node = DimseNode | DicomwebNode
"""Any archive."""


def read_node(name: str, config: StrPath, *, on_warning: Callable[[str], None] = lambda line: None) -> Node:
    """The settings of one archive, with its password or token from the environment if they are there.

    ``CTRESAMPLE_<NAME>_PASSWORD`` and ``CTRESAMPLE_<NAME>_TOKEN`` win over the file.

    Args:
        name: of a ``[nodes.NAME]`` table.
        config: the TOML file.
        on_warning: called with one line when others can read credentials in the file, or on their way.

    Raises:
        ArchiveError: no such file or node, or a key that is missing, unknown or wrong.
    """
    config = as_path(config, "config")
    nodes = _read_nodes(config)
    if name not in nodes:
        known = ", ".join(one_line(str(known), 40) for known in sorted(nodes)) or "none"
        raise ArchiveError(f"{config} has no node {name!r}; expected one of: {known}")
    given = nodes[name]
    secret_in_file = any(key in given for key in _SECRETS)
    if secret_in_file and os.name == "posix" and config.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        on_warning(f"warning: {config} holds credentials and others may read it; run: chmod 600 {config}")
    found = {key: value for key in _SECRETS if (value := os.environ.get(_variable(name, key)))}
    if found:
        given = {key: value for key, value in given.items() if key not in _SECRETS} | found
    node = _check_node(given | {"name": name}, config)
    if isinstance(node, DicomwebNode) and (node.user or node.token) and not node.url.startswith("https:"):
        on_warning(f"warning: {node.place} gets its credentials unencrypted; use https where others share the network")
    return node


def _read_nodes(config: Path) -> dict[str, dict[str, Any]]:
    try:
        with config.open("rb") as file:
            content = file.read(_MAX_BYTES)
        nodes = tomllib.loads(content.decode("utf-8")).get("nodes")
    except OSError as error:
        raise ArchiveError(
            f"{config} cannot be read ({error.strerror}); expected the archives you use, as [nodes.NAME] tables; "
            "see docs/pacs.md, or name another file with --config"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{config} is no valid TOML ({one_line(str(error), 120)}); correct it") from error
    if not isinstance(nodes, dict) or not all(isinstance(node, dict) for node in nodes.values()):
        raise ArchiveError(f"{config}: expected archives as [nodes.NAME] tables; add one")
    return nodes


def _check_node(given: dict[str, Any], config: Path) -> Node:
    where = f"{config}: nodes.{one_line(given['name'], 40)}"
    kinds: dict[Any, type[DimseNode | DicomwebNode]] = {"dimse": DimseNode, "dicomweb": DicomwebNode}
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        raise ArchiveError(f'{where}.type: expected "dimse" or "dicomweb"; correct it')
    try:
        return kinds[kind].model_validate(given, context={"folder": config.absolute().parent})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]  # the input may be a password, or hold one
        key = ".".join(one_line(str(part), 40) for part in ("", *first["loc"]))
        raise ArchiveError(f"{where}{key}: {one_line(first['msg'])}; correct it") from None


def _variable(name: str, key: str) -> str:
    return f"CTRESAMPLE_{re.sub('[^A-Z0-9]', '_', name.upper())}_{key.upper()}"
