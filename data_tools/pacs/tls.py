"""Encryption of the connection to an archive."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationInfo, field_validator, model_validator

from ctresample.data_tools.sinogram.schema import Strict
from ctresample.errors import ArchiveError


class Tls(Strict):
    """Files in PEM format; relative paths begin at the folder of the config file.

    Attributes:
        ca_file: certificates to trust, instead of the system's.
        certificate_file: ours, for archives that ask for one.
        key_file: its private key, without a passphrase.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _existing_file(cls, path: Any, info: ValidationInfo) -> Path:
        if not isinstance(path, str):
            raise ValueError("expected the path of a file as text")
        place = Path((info.context or {}).get("folder", ".")) / Path(path).expanduser()
        if not place.is_file():
            raise ValueError("there is no such file")
        return place

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        return self

    def client_context(self) -> ssl.SSLContext:
        """To connect to an archive; checks its certificate and its name."""
        return self._context(ssl.Purpose.SERVER_AUTH)

    def server_context(self) -> ssl.SSLContext:
        """To be connected to by an archive, which must show a certificate too."""
        context = self._context(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _context(self, purpose: ssl.Purpose) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(purpose, cafile=self.ca_file)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ArchiveError(f"{self.ca_file} holds no usable certificates; expected PEM format") from error
        if self.certificate_file and self.key_file:
            try:
                # a passphrase would be asked for on the terminal
                context.load_cert_chain(self.certificate_file, self.key_file, password=_no_passphrase)
            except (OSError, ValueError) as error:
                raise ArchiveError(
                    f"{self.certificate_file} and {self.key_file} are no certificate and its key; expected PEM "
                    "format, the key without a passphrase"
                ) from error
        return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")
