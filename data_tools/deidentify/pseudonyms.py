"""Keyed hashes in the place of identities: the same for the same original and key, and of no use without the key."""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid

from pydicom.config import IGNORE
from pydicom.uid import UID

from ctresample.errors import UsageError

_SHORTEST_KEY = 16
_SEAL_BYTES = 4


class Pseudonyms:
    """Names and UIDs that replace others.

    Its own stay what they are, so that what is de-identified twice with one key still refers to what was so once: each
    bears a seal, a hash of the rest of it under the key.

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
        if UID(original, validation_mode=IGNORE).type or self._is_sealed(_uid_bytes(original)):
            return original
        content = uuid.UUID(bytes=self._hash("UID", original)[:16], version=4).bytes[:-_SEAL_BYTES]
        return f"2.25.{int.from_bytes(self._sealed(content))}"

    def name(self, kind: str, original: str) -> str:
        """Twenty letters and digits for an original of a kind."""
        if re.fullmatch("[0-9A-F]{20}", original) and self._is_sealed(bytes.fromhex(original)):
            return original
        return self._sealed(self._hash(kind, original)[:6]).hex().upper()

    def _sealed(self, content: bytes) -> bytes:
        """The content with a mark of its own that only the key can make."""
        return content + self._hash("seal", content.hex())[:_SEAL_BYTES]

    def _is_sealed(self, whole: bytes) -> bool:
        return hmac.compare_digest(self._sealed(whole[:-_SEAL_BYTES]), whole)

    def _hash(self, kind: str, original: str) -> bytes:
        return hmac.digest(self._key, f"{kind} {original}".encode(), hashlib.sha256)


def _uid_bytes(uid: str) -> bytes:
    """The sixteen bytes of a UID below ``2.25``; none of any other."""
    found = re.fullmatch(r"2\.25\.([0-9]{1,39})", uid)
    number = int(found[1]) if found else 0
    return number.to_bytes(16) if 0 < number < 2**128 else b""
