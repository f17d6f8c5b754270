"""The parts of a ``multipart/related`` answer (RFC 2387) as they come, without holding more than one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.message import Message

_LONGEST_HEADER = 2**16


def parts(content_type: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of each part; what stands before the first and behind the last is no part.

    Args:
        content_type: of the answer, which names the boundary.
        chunks: its body.

    Raises:
        ValueError: it is no multipart answer, a part has no end to its header, or the last one no end.
    """
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_maintype() != "multipart" or not boundary:
        raise ValueError("not multipart")
    mark = b"\r\n--" + boundary.encode()
    data = bytearray(b"\r\n")  # the first boundary may stand at the very beginning
    begun, looked = False, 0
    for chunk in chunks:
        data += chunk
        while (end := data.find(mark, looked)) >= 0:
            if begun:
                yield _content(bytes(data[:end]))
            del data[: end + len(mark)]
            begun, looked = True, 0
        looked = max(0, len(data) - len(mark))
    if not data.startswith(b"--"):
        raise EOFError("the last part has no end")


def _content(part: bytes) -> bytes:
    length = part.find(b"\r\n\r\n", 0, _LONGEST_HEADER)
    if length < 0:
        raise ValueError("a part without an end to its header")
    return part[length + 4 :]
