"""Take the images that an archive sends: over our association (C-GET) or over one that it opens to us (C-MOVE)."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from socketserver import TCPServer
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt
from pynetdicom.transport import ThreadedAssociationServer

from ctresample.data_tools.pacs.archive import Receive
from ctresample.data_tools.pacs.association import CONNECT_S, bounded
from ctresample.data_tools.pacs.limits import MAX_IMAGE_BYTES, Bytes, Time
from ctresample.data_tools.pacs.settings import DimseNode
from ctresample.data_tools.pacs.transfer_syntaxes import RECEIVED
from ctresample.errors import ArchiveError, CTResampleError

_OUT_OF_RESOURCES = 0xA700
_NOT_AUTHORISED = 0x0124


def image_handler(receive: Receive, limit: Time) -> tuple[Any, Callable[[Any], int]]:
    """An event and its handler for pynetdicom; what ``receive`` refuses or raises becomes a status of failure."""

    def handle(event: Any) -> int:
        try:
            limit.check()
            verdict = receive(str(event.request.AffectedSOPInstanceUID), event.encoded_dataset())
        except CTResampleError:  # nothing that comes now is of use
            limit.cut()
            return _OUT_OF_RESOURCES
        if verdict == "new":
            limit.restart()
        return _NOT_AUTHORISED if verdict == "refused" else 0

    return evt.EVT_C_STORE, handle


@contextmanager
def listener(node: DimseNode, receive: Receive, limit: Time) -> Iterator[Sequence[str]]:
    """Listen on the node's ``own_port`` during the block, to the archive alone.

    Only connections from the archive's host (or its ``senders``) are taken, only with its AE title, and with TLS only
    if they show a certificate of ``tls.ca_file``. All else is turned away before a byte of it is read.

    Yields:
        The addresses that were turned away, as they come.

    Raises:
        ArchiveError: the address or port cannot be had, or a host has no address.
    """
    ae = AE(node.own_ae_title)
    ae.require_called_aet = True
    ae.require_calling_aet = [node.ae_title]
    ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = 2 * CONNECT_S, node.timeout_s, node.timeout_s
    ae.supported_contexts = [
        build_context(context.abstract_syntax, list(RECEIVED)) for context in AllStoragePresentationContexts
    ]
    context = node.tls.server_context() if node.tls else None
    senders = {address for host in (node.host, *node.senders) for address in _addresses(host, node)}
    own = node.own_address or _address_towards(node)
    turned_away: list[str] = []
    try:
        server = ae.make_server(
            (own, node.own_port),
            ssl_context=context,
            evt_handlers=[image_handler(receive, limit), (evt.EVT_CONN_OPEN, _each_bounded(node, limit))],
            server_class=_ArchiveOnly,
            senders=senders,
            turned_away=turned_away,
        )
    except OSError as error:
        raise ArchiveError(
            f"cannot listen on {own}, own_port {node.own_port} of node {node.name} ({error.strerror}); choose a free "
            "port, or as own_address one of this machine's"
        ) from error
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield turned_away
    finally:
        server.shutdown()


class _ArchiveOnly(ThreadedAssociationServer):
    """Takes connections from some addresses only, and lets none hold up the others.

    Args:
        senders: the addresses.
        turned_away: where others are noted.
    """

    daemon_threads = True

    def __init__(self, *settings: Any, senders: set[str], turned_away: list[str], **more: Any) -> None:
        self._senders, self._turned_away = senders, turned_away
        super().__init__(*settings, **more)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """A connection, without TLS as yet: whoever connects and says nothing would keep all others waiting."""
        connection, address = self.socket.accept()
        connection.settimeout(CONNECT_S)
        return connection, address

    def verify_request(self, _request: Any, client_address: Any) -> bool:
        """Whether it comes from where it may."""
        sender = _plain(client_address[0])
        if sender not in self._senders:
            del self._turned_away[99:]
            self._turned_away.append(sender)
        return sender in self._senders

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Speak TLS, then DICOM, with one of them."""
        if self.ssl_context:
            try:
                request = self.ssl_context.wrap_socket(request, server_side=True)
            except (OSError, ssl.SSLError):
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Whoever connects may break off at any time; the standard library would print a traceback."""

    def shutdown(self) -> None:
        """Stop listening, and end what is still open."""
        TCPServer.shutdown(self)
        self.server_close()
        for association in self.active_associations:
            association.abort()


def _each_bounded(node: DimseNode, limit: Time) -> Callable[[Any], None]:
    """As `bounded`, but each connection may send an image at the same time."""

    def begin(event: Any) -> None:
        received = Bytes(MAX_IMAGE_BYTES, node.place)
        (_, bind), (dimse_received, restart) = bounded(received, limit)
        bind(event)
        event.assoc.bind(dimse_received, restart)

    return begin


def _addresses(host: str, node: DimseNode) -> set[str]:
    try:
        return {_plain(str(found[4][0])) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise ArchiveError(f"{node.place}: {host} has no address; check host and senders") from error


def _address_towards(node: DimseNode) -> str:
    """The address by which this machine reaches the archive; nothing is sent to find out."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(node.host, node.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(place)
            return str(probe.getsockname()[0])
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ArchiveError(f"{node.place} cannot be reached ({reason}); check host and port") from error


def _plain(address: str) -> str:
    """An IPv4 address as such where a socket of both kinds wraps it."""
    return address.removeprefix("::ffff:").partition("%")[0]
