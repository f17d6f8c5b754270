"""Archives that attack whoever asks them, each on a port of its own; and strangers who answer in an archive's place."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydicom import Dataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

LOCAL, STRANGE = "127.0.0.1", "127.0.0.2"
_MIB = 2**20


# ---------------------------------------------------------------- DICOMweb


class _Handler(BaseHTTPRequestHandler):
    """Hands each request to the attack."""

    protocol_version = "HTTP/1.1"
    attack: Callable[[_Handler], None]

    def do_GET(self) -> None:
        with suppress(OSError):  # whoever asked has hung up, as is wanted
            type(self).attack(self)
        self.close_connection = True

    def head(self, kind: str = "application/dicom+json", status: int = 200, **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def pour(self, chunk: bytes, times: int | None = None) -> None:
        """So often, or for ever."""
        for _ in itertools.count() if times is None else range(times):
            self.wfile.write(chunk)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def web_archive(attack: Callable[[_Handler], None]) -> Iterator[int]:
    """A server on a port; ends with the block."""
    server = ThreadingHTTPServer((LOCAL, 0), type("Handler", (_Handler,), {"attack": attack}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def endless_pages(request: _Handler) -> None:
    """Each page has other studies."""
    found = [{"0020000D": {"vr": "UI", "Value": [f"1.2.{time.monotonic_ns()}.{n}"]}} for n in range(100)]
    request.head()
    request.wfile.write(json.dumps(found).encode())


def endless_body(request: _Handler) -> None:
    """A list that never ends."""
    request.head()
    request.wfile.write(b"[")
    request.pour(b'{"0020000D": {"vr": "UI", "Value": ["1.2.3"]}},' * 1000)


def gzip_bomb(request: _Handler) -> None:
    """300 MiB of spaces in 300 kB."""
    request.head(Content_Encoding="gzip")
    request.wfile.write(_gzipped_spaces())


@cache
def _gzipped_spaces() -> bytes:
    return gzip.compress(b"[" + b" " * (300 * _MIB), 9)


def gzip_of_nothing(request: _Handler) -> None:
    """Compressed bytes without end that come to nothing."""
    packer = zlib.compressobj(wbits=31)
    request.head(Content_Encoding="gzip")
    request.wfile.write(packer.compress(b"[") + packer.flush(zlib.Z_FULL_FLUSH))
    request.pour(b"\x00\x00\x00\xff\xff" * 1000)


def deep_json(request: _Handler) -> None:
    """Lists in lists, deeper than a parser's stack."""
    request.head()
    request.wfile.write(b"[" * 1_000_000)


def endless_redirect(request: _Handler) -> None:
    """Sends elsewhere, with a body that never ends."""
    request.head(status=302, Location="/elsewhere")
    request.pour(b"x" * 65536)


def dripping_header(request: _Handler) -> None:
    """A byte now and then, always before any time-out."""
    _drip(request, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 60_000)


def dripping_body(request: _Handler) -> None:
    """The same, behind the header."""
    request.head()
    _drip(request, b"[" + b" " * 60_000)


def _drip(request: _Handler, content: bytes) -> None:
    for byte in content:
        request.wfile.write(bytes([byte]))
        time.sleep(0.02)


def with_listing(images: Sequence[Dataset], attack: Callable[[_Handler], None]) -> Callable[[_Handler], None]:
    """Answer searches as an archive with these images of one series does, and attack who fetches them."""

    def answer(request: _Handler) -> None:
        first, path = images[0], request.path.partition("?")
        found: list[Dataset] = []
        if not path[1]:
            attack(request)
            return
        if path[0].endswith("/studies"):
            found = [_only(first, "StudyInstanceUID")]
        elif path[0].endswith("/series"):
            found = [_only(first, "SeriesInstanceUID")]
        elif path[0].endswith("/instances"):
            found = [_only(image, "SOPInstanceUID", "SOPClassUID") for image in images]
        request.head()
        request.wfile.write(f"[{','.join(one.to_json() for one in found)}]".encode())

    return answer


_RELATED = 'multipart/related; type="application/dicom"; boundary="b"'
_PART = b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n"


def endless_part(request: _Handler) -> None:
    """An image that never ends."""
    request.head(_RELATED)
    request.wfile.write(_PART)
    request.pour(b"\0" * _MIB)


def endless_parts(image: Dataset) -> Callable[[_Handler], None]:
    """The same image for ever."""

    def attack(request: _Handler) -> None:
        request.head(_RELATED)
        request.pour(_PART + encoded(image))

    return attack


def deflated_bomb(image: Dataset, n_mib: int = 1000) -> Callable[[_Handler], None]:
    """An image whose deflated elements inflate to so much."""
    small = deepcopy(image)
    small.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    small.PixelData = b"\0\0"
    content = encoded(small)
    meta = content[: 144 + struct.unpack("<I", content[140:144])[0]]  # behind the group length
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    elements = zlib.decompress(content[len(meta) :], -zlib.MAX_WBITS)
    start = elements.index(b"\xe0\x7f\x10\x00")
    packed = [packer.compress(elements[:start] + b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", n_mib * _MIB))]
    packed += [packer.compress(b"\0" * _MIB) for _ in range(n_mib)]
    bomb = meta + b"".join([*packed, packer.flush()])

    def attack(request: _Handler) -> None:
        request.head(_RELATED)
        request.wfile.write(_PART + bomb + b"\r\n--b--\r\n")

    return attack


# ---------------------------------------------------------------- DICOM networking


@contextmanager
def raw_archive(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that speaks bytes."""
    with socket.create_server((LOCAL, 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=one, args=(connection,), daemon=True).start()

        def one(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                talk(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def huge_pdu(connection: socket.socket) -> None:
    """Announces 4 GiB in answer to a request, and sends it."""
    if connection.recv(6):  # who only looks whether we are there sends nothing
        connection.sendall(struct.pack(">BBL", 2, 0, 2**32 - 1))
        while True:
            connection.sendall(b"\0" * _MIB)


def dripping_pdu(connection: socket.socket) -> None:
    """A byte now and then."""
    if connection.recv(6):
        for byte in struct.pack(">BBL", 2, 0, 60_000) + bytes(60_000):
            connection.sendall(bytes([byte]))
            time.sleep(0.02)


@contextmanager
def dimse_archive(handlers: Sequence[tuple[Any, Callable[[Any], Any]]], context: Any = None) -> Iterator[int]:
    """A pynetdicom server."""
    ae = AE("ARCHIVE")
    ae.supported_contexts = [
        build_context(StudyRootQueryRetrieveInformationModelFind),
        build_context(StudyRootQueryRetrieveInformationModelGet),
        build_context(StudyRootQueryRetrieveInformationModelMove),
    ]
    ae.requested_contexts = [build_context(CTImageStorage)]
    ae.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    server = ae.start_server((LOCAL, 0), block=False, evt_handlers=list(handlers), ssl_context=context)
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def endless_find(event: Any) -> Iterator[tuple[int, Dataset]]:
    """Studies without end."""
    for number in itertools.count():
        if event.is_cancelled or not event.assoc.is_established:
            return
        found = Dataset()
        found.QueryRetrieveLevel, found.StudyInstanceUID = event.identifier.QueryRetrieveLevel, f"1.2.3.{number}"
        yield 0xFF00, found


def listing(images: Sequence[Dataset]) -> Callable[[Any], Iterator[tuple[int, Dataset | None]]]:
    """The handler of a C-FIND: one series with these images."""

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        level = event.identifier.QueryRetrieveLevel
        for image in images if level == "IMAGE" else images[:1]:
            found = _only(image, "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
            found.QueryRetrieveLevel = level
            yield 0xFF00, found
        yield 0x0000, None

    return find


def endless_pending(event: Any) -> Iterator[Any]:
    """A C-GET that is always about to begin: its first image comes again and again, under other names."""
    yield 60_000
    image = event_image()
    for number in itertools.count():
        if not event.assoc.is_established:
            return
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
        yield 0xFF00, image


def event_image() -> Dataset:
    """A small image that nobody asked for."""
    from dicom_samples import ct_image

    return ct_image(0)


def moving(images: Sequence[Dataset], port: int, before: Callable[[int], None]) -> Callable[[Any], Iterator[Any]]:
    """The handler of a C-MOVE that sends these images, after somebody else has had a go at the port."""

    def move(_event: Any) -> Iterator[Any]:
        before(port)
        yield (LOCAL, port)
        yield len(images)
        for image in images:
            yield 0xFF00, image

    return move


def stranger(images: Sequence[Dataset], *, title: str = "ARCHIVE", host: str = STRANGE) -> Callable[[int], None]:
    """Sends images to a port, from another address or under another title; what came of each is in ``statuses``."""

    def send(port: int) -> None:
        ae = AE(title)
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3
        ae.add_requested_context(CTImageStorage)
        opened = ae.associate(LOCAL, port, ae_title="CTRESAMPLE", bind_address=(host, 0))
        send.statuses = []  # type: ignore[attr-defined]
        for image in images:
            if opened.is_established:
                send.statuses.append(opened.send_c_store(image).get("Status"))  # type: ignore[attr-defined]
        if opened.is_established:
            opened.release()

    return send


def _only(image: Dataset, *keywords: str) -> Dataset:
    few = Dataset()
    for keyword in keywords:
        setattr(few, keyword, image.get(keyword))
    return few


def encoded(image: Dataset) -> bytes:
    """As a file."""
    stream = io.BytesIO()
    image.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
