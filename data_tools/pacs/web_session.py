"""HTTP as DICOMweb needs it: what comes is counted as it comes, and cut off in the end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ctresample.data_tools.pacs.limits import MAX_ANSWER_BYTES, Bytes, Time

_CHUNK_BYTES = 2**16


class WebSession(requests.Session):
    """A session whose answers are bounded, before and after decompression, and in time.

    It sends wildcards as they are, as it may: Orthanc 1.10 does not decode them; and trusts the CA it was given.

    Attributes:
        received: counts the bytes of an answer.
        limit: of the time; None for none.

    Args:
        place: the archive, for messages.
    """

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place
        self.received = Bytes(MAX_ANSWER_BYTES, place)
        self.limit: Time | None = None
        for scheme in ("http://", "https://"):
            self.mount(scheme, _BoundedAdapter(self))

    def bound(self, limit: Time, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        """What holds for the answers from now on."""
        self.limit, self.received = limit, Bytes(max_bytes, self._place)
        self.close()  # connections that are kept open are not watched by the new limit

    def request(self, method: str, url: str, **settings: Any) -> requests.Response:
        """See `requests.Session.request`."""
        settings["verify"] = self.verify  # or REQUESTS_CA_BUNDLE would win
        return super().request(method, url.replace("%2A", "*").replace("%3F", "?"), **settings)


class _BoundedAdapter(HTTPAdapter):
    """Counts what comes in the body of an answer, also of one that sends us elsewhere.

    Args:
        session: whose bounds hold.
    """

    def __init__(self, session: WebSession) -> None:
        self._session = session
        super().__init__()
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(HTTPConnectionPool, HTTPConnection, session),
            "https": _pool(HTTPSConnectionPool, HTTPSConnection, session),
        }

    def send(self, *request: Any, **settings: Any) -> requests.Response:
        """See `requests.adapters.HTTPAdapter.send`."""
        response = super().send(*request, **settings)
        response.iter_content = partial(self._counted, response, response.iter_content)
        self._session.received.restart()
        return response

    def _counted(
        self, response: requests.Response, chunks: Any, chunk_size: int = 1, decode_unicode: bool = False
    ) -> Iterator[Any]:
        del chunk_size  # large ones would hold more than is counted
        try:
            for chunk in chunks(_CHUNK_BYTES, decode_unicode):
                self._session.received.take(len(chunk))
                if self._session.limit:
                    self._session.limit.check()
                yield chunk
        except BaseException:
            response.close()
            raise


def _pool(pool: type, connection: type, session: WebSession) -> type:
    """A class of connection pools whose connections end when the time is over."""

    class Watched(connection):
        def _new_conn(self) -> Any:
            opened = super()._new_conn()
            if session.limit:
                session.limit.watch(opened)
            return opened

    return type(pool.__name__, (pool,), {"ConnectionCls": Watched})
