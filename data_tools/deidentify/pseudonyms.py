"""Keyed hashes in the place of identities: the same for the same original and key, and of no use without the key."""

from __future__ import annotations

import hashlib
import hmac
import uuid

from pydicom.config import IGNORE
from pydicom.uid import UID

from ctresample.errors import UsageError

_SHORTEST_KEY = 16


class Pseudonyms:
    """Names and UIDs that replace others.

    Args:
        key: at least 16 bytes, secret.

    Raises:
        UsageError: the key is too short to be one.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < _SHORTEST_KEY:
            raise UsageError(f"the key has {len(key)} bytes; expected {_SHORTEST_KEY} or more, random ones")
        self._key = key

    def uid(self, original: str) -> str:
        """Another UID below ``2.25``; those that DICOM itself defines, such as of SOP classes, stay."""
        if UID(original, validation_mode=IGNORE).type:
            return original
        return f"2.25.{uuid.UUID(bytes=self._hash('UID', original)[:16], version=4).int}"

    def name(self, kind: str, original: str) -> str:
        """Twelve letters and digits for an original of a kind."""
        return self._hash(kind, original).hex()[:12].upper()

    def _hash(self, kind: str, original: str) -> bytes:
        return hmac.digest(self._key, f"{kind} {original}".encode(), hashlib.sha256)
