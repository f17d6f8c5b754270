"""Open a DICOM association with an archive, or say in one line why there is none."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pynetdicom import AE, Association, evt
from pynetdicom.presentation import PresentationContext

from ctresample.data_tools.pacs.limits import MAX_ANSWER_BYTES, Bytes, Time
from ctresample.data_tools.pacs.settings import DimseNode
from ctresample.errors import ArchiveError

CONNECT_S = 5.0
"""Longest wait for a connection; a machine that is on answers in milliseconds."""

_REJECTIONS = {  # source, reason: PS3.8 table 9-21
    (1, 3): "does not know our AE title {own!r}; have it registered there, or correct own_ae_title",
    (1, 7): "is not called {its!r}; correct ae_title",
    (3, 1): "is too busy; try again later",
    (3, 2): "has no connection free; try again later",
}


@contextmanager
def association(
    node: DimseNode,
    contexts: Sequence[PresentationContext],
    limit: Time,
    *,
    max_bytes: int = MAX_ANSWER_BYTES,
    roles: Sequence[Any] = (),
    handlers: Sequence[tuple[Any, Callable[..., Any]]] = (),
) -> Iterator[Association]:
    """An association that is released at the end of the block, or aborted when the block fails.

    Args:
        node: the archive.
        contexts: what to propose.
        limit: ends the connection when the time is over.
        max_bytes: of one answer or image that comes.
        roles: role selections, for C-GET.
        handlers: pairs of a pynetdicom event and its handler.

    Raises:
        ArchiveError: unreachable, refused, no TLS between us, or nothing of what was proposed is accepted.
        ArchiveError: it sends more, or takes longer, than may be.
    """
    context = node.tls.client_context() if node.tls else None
    _check_reachable(node, context, limit)
    received = Bytes(max_bytes, node.place)
    ae = AE(node.own_ae_title)
    ae.connection_timeout, ae.acse_timeout = CONNECT_S, 2 * CONNECT_S
    ae.dimse_timeout = ae.network_timeout = node.timeout_s
    opened = ae.associate(
        node.host,
        node.port,
        contexts=list(contexts),
        ae_title=node.ae_title,
        ext_neg=list(roles),
        tls_args=(context, node.host) if context else None,
        evt_handlers=[*bounded(received, limit), *handlers],
    )
    try:
        if not opened.is_established:
            received.check()
            limit.check()
            raise ArchiveError(f"{node.place} {_why_not(opened, node)}")
        yield opened
        opened.release()
    except ArchiveError:
        received.check()  # the cause of whatever else was seen of it
        raise
    finally:
        if opened.is_established:
            opened.abort()
        opened.dul.join(timeout=1)  # its thread logs what it likes as long as it runs
        if opened.dul.socket:
            opened.dul.socket.close()


def bounded(received: Bytes, limit: Time) -> list[tuple[Any, Callable[[Any], None]]]:
    """Handlers of pynetdicom that bound each connection: it would wait, and take in, whatever the other side likes."""

    def begin(event: Any) -> None:
        connection = event.assoc.dul.socket
        limit.watch(connection.socket)
        receive = connection.recv

        def receive_bounded(n_bytes: int) -> bytearray:
            try:
                received.take(n_bytes)  # before it comes: an announced length may be 4 GiB
            except ArchiveError as error:
                raise OSError("too many bytes") from error  # closes the connection
            return bytearray(receive(n_bytes))

        connection.recv = receive_bounded

    return [(evt.EVT_CONN_OPEN, begin), (evt.EVT_DIMSE_RECV, lambda _event: received.restart())]


def _check_reachable(node: DimseNode, context: ssl.SSLContext | None, limit: Time) -> None:
    """Connect once by ourselves: pynetdicom keeps the reason of a failure for its log."""
    try:
        with socket.create_connection((node.host, node.port), timeout=CONNECT_S) as connection:
            limit.watch(connection)
            if context:
                connection = context.wrap_socket(connection, server_hostname=node.host)  # noqa: PLW2901
            with connection, suppress(OSError):  # at once, for an archive may serve one connection at a time
                connection.shutdown(socket.SHUT_RDWR)
    except ssl.SSLCertVerificationError as error:
        raise ArchiveError(
            f"{node.place} shows a certificate that is not trusted ({error.verify_message}); expected one signed by "
            "tls.ca_file, for this host name"
        ) from error
    except ssl.SSLError as error:
        raise ArchiveError(f"{node.place} does not speak TLS with us ({error.reason}); check port and tls") from error
    except TimeoutError as error:
        raise ArchiveError(f"{node.place} does not answer within {CONNECT_S:g} s; check host and port") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ArchiveError(f"{node.place} cannot be reached ({reason}); check host and port") from error


def _why_not(opened: Association, node: DimseNode) -> str:
    answer = opened.acceptor.primitive
    if opened.is_rejected:
        why = _REJECTIONS.get((answer.result_source, answer.diagnostic), "refused the association ({reason})")
        return why.format(own=node.own_ae_title, its=node.ae_title, reason=answer.reason_str)
    if answer is not None and answer.result == 0:
        names = sorted({context.abstract_syntax.name for context in opened.requestor.requested_contexts})
        return f"does not offer what is needed ({', '.join(names[:3])}{', ...' * (len(names) > 3)}); check its settings"
    if node.tls:
        return "does not answer our request; it may ask for a certificate of ours (tls.certificate_file)"
    return "does not answer our request; it may want TLS, or is no DICOM archive"
