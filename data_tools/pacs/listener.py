"""Take the images that an archive sends: over our association (C-GET) or over one that it opens to us (C-MOVE)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt

from ctresample.data_tools.pacs.settings import DimseNode
from ctresample.data_tools.pacs.transfer_syntaxes import RECEIVED
from ctresample.errors import ArchiveError, CTResampleError

Receive = Callable[[str, bytes], None]
_OUT_OF_RESOURCES = 0xA700


def image_handler(receive: Receive) -> tuple[Any, Callable[[Any], int]]:
    """An event and its handler for pynetdicom; what ``receive`` raises becomes a status of failure."""

    def handle(event: Any) -> int:
        try:
            receive(str(event.request.AffectedSOPInstanceUID), event.encoded_dataset())
        except CTResampleError:
            return _OUT_OF_RESOURCES
        return 0

    return evt.EVT_C_STORE, handle


@contextmanager
def listener(node: DimseNode, receive: Receive) -> Iterator[None]:
    """Listen on the node's ``own_port`` during the block; `ArchiveError` if that port cannot be had."""
    ae = AE(node.own_ae_title)
    ae.require_called_aet = True
    ae.supported_contexts = [
        build_context(context.abstract_syntax, list(RECEIVED)) for context in AllStoragePresentationContexts
    ]
    context = node.tls.server_context() if node.tls else None
    try:
        server = ae.start_server(
            ("", node.own_port), block=False, ssl_context=context, evt_handlers=[image_handler(receive)]
        )
    except OSError as error:
        raise ArchiveError(
            f"cannot listen on own_port {node.own_port} of node {node.name} ({error.strerror}); choose a free port"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
