"""The secret behind pseudonyms and mapped UIDs, in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets

from ctresample.errors import OutputError, UsageError
from ctresample.paths import StrPath, as_path

_BYTES = 32


def new_key() -> bytes:
    """A random key: what it maps cannot be linked to anything afterwards."""
    return secrets.token_bytes(_BYTES)


def read_or_make_key(path: StrPath) -> bytes:
    """The key in a file of 64 hexadecimal digits; a missing file is made, readable by its owner alone.

    Whoever has the key and a list of patients can tell who is who; whoever has not cannot.

    Raises:
        UsageError: the file holds no such key, or cannot be read.
        OutputError: it cannot be made.
    """
    path = as_path(path, "path")
    key = new_key()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_key(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be made ({error.strerror}); choose a folder that exists") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{key.hex()}\n")
    return key


def read_key(path: StrPath) -> bytes:
    """The key in a file that must be there; errors as :func:`read_or_make_key`."""
    path = as_path(path, "path")
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError):  # the text is not quoted: it may be a secret of another kind
        key = b""
    if len(key) != _BYTES:
        raise UsageError(
            f"{path} holds no de-identification key; expected {2 * _BYTES} hexadecimal digits; "
            "name a missing file to have a key made"
        )
    return key
