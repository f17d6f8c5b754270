"""An archive by DICOMweb: QIDO-RS, WADO-RS and STOW-RS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import Any

import requests
from dicomweb_client import DICOMwebClient
from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset

from ctresample.data_tools.dicom.files import damage_as_dicom_error
from ctresample.data_tools.pacs.answers import (
    IMAGE_KEYS,
    SERIES_KEYS,
    STUDY_KEYS,
    images_of,
    series_of,
    text,
    too_many,
    uid,
)
from ctresample.data_tools.pacs.archive import ArchivedSeries, Receive
from ctresample.data_tools.pacs.association import CONNECT_S
from ctresample.data_tools.pacs.limits import (
    MAX_ANSWER_BYTES,
    MAX_IMAGE_BYTES,
    MAX_IMAGES,
    MAX_SERIES,
    MAX_STUDIES,
    Time,
    time_limit,
)
from ctresample.data_tools.pacs.multipart import parts
from ctresample.data_tools.pacs.outgoing import OutgoingFile
from ctresample.data_tools.pacs.quiet import quiet_network
from ctresample.data_tools.pacs.search import Search
from ctresample.data_tools.pacs.settings import DicomwebNode
from ctresample.data_tools.pacs.web_session import WebSession
from ctresample.errors import ArchiveError, CTResampleError

_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_KEYS = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID", "image": "SOPInstanceUID"}
_PROCESSING_FAILURE = 0x0110
_ANSWERS = {
    401: "refused the user or password; correct user in the config file, and the password there or in the environment",
    403: "does not allow this to the user",
    404: "has no DICOMweb service at this address, or not this series; check url",
    413: "takes no files this large",
}


class DicomwebArchive:
    """See `Archive`.

    Args:
        node: its settings.
    """

    def __init__(self, node: DicomwebNode) -> None:
        self._node = node
        session = WebSession(node.place)
        if node.user is not None and node.password is not None:
            session.auth = (node.user.encode(), node.password.get_secret_value().encode())
        elif node.token is not None:
            session.auth = _Bearer(node.token.get_secret_value())
        if node.tls:
            node.tls.client_context()  # says what is wrong with the files
            if node.tls.ca_file:
                session.verify = str(node.tls.ca_file)
            if node.tls.certificate_file:
                session.cert = (str(node.tls.certificate_file), str(node.tls.key_file))
        self._session = session
        self._client = DICOMwebClient(node.url, session, timeout=(CONNECT_S, node.timeout_s))
        self._client.set_http_retry_params(retry=False)  # it would hide the last answer

    @quiet_network()
    def find(self, search: Search) -> list[ArchivedSeries]:
        client = self._client
        found: list[ArchivedSeries] = []
        with self._one_line():
            if search.names_only_a_series:
                answers = _datasets(client.search_for_series(search_filters=search.series_keys))
                if not answers:
                    return []
                search = replace(search, study_uid=uid(answers[0], "StudyInstanceUID", self._node.place))
            for study in self._all_pages(
                client.search_for_studies, "study", MAX_STUDIES, STUDY_KEYS, search.study_keys
            ):
                ask = partial(client.search_for_series, uid(study, "StudyInstanceUID", self._node.place))
                answers = self._all_pages(ask, "series", MAX_SERIES - len(found), SERIES_KEYS, search.series_keys)
                found += series_of(answers, study, self._node.place)
        return found

    @quiet_network()
    def list_images(self, series: ArchivedSeries) -> dict[str, str]:
        ask = partial(self._client.search_for_instances, series.study_uid, series.series_uid)
        with self._one_line():
            answers = self._all_pages(ask, "image", MAX_IMAGES, IMAGE_KEYS, {})
            return images_of(answers, series, self._node.place)

    @quiet_network()
    def retrieve(self, series: ArchivedSeries, images: Mapping[str, str], receive: Receive) -> None:
        url = f"{self._node.url}/studies/{series.study_uid}/series/{series.series_uid}"
        with (
            self._one_line(max_bytes=MAX_IMAGE_BYTES) as limit,
            self._session.get(
                url, headers={"Accept": _AS_STORED}, stream=True, timeout=(CONNECT_S, self._node.timeout_s)
            ) as answer,
        ):
            answer.raise_for_status()
            for content in parts(answer.headers.get("Content-Type", ""), answer.iter_content()):
                self._session.received.restart()
                if receive(_sop_instance(content), content) == "new":
                    limit.restart()

    @quiet_network()
    def store(self, files: Sequence[OutgoingFile], on_stored: Callable[[OutgoingFile, int], None]) -> None:
        for number, file in enumerate(files):
            with damage_as_dicom_error(file.path):
                dataset = dcmread(file.path)
            with self._one_line(f"; {number} of {len(files)} files were sent" * (number > 0)):
                on_stored(file, self._store_one(dataset))

    def _store_one(self, dataset: Dataset) -> int:
        try:
            answer = self._client.store_instances([dataset])
        except requests.HTTPError as error:
            if error.response.status_code != 409:  # PS3.18 10.5.3: conflict, none of the images was stored
                raise
            answer = Dataset.from_json(error.response.json())
        for failed in answer.get("FailedSOPSequence") or ():
            return int(failed.get("FailureReason") or _PROCESSING_FAILURE)
        for stored in answer.get("ReferencedSOPSequence") or ():
            return int(stored.get("WarningReason") or 0)
        return _PROCESSING_FAILURE  # an answer that names no image says nothing good

    def _all_pages(
        self,
        ask: Callable[..., list[dict[str, Any]]],
        level: str,
        most: int,
        fields: Sequence[str],
        filters: Mapping[str, str],
    ) -> list[Dataset]:
        """All answers, however few an archive gives at a time; one that cannot go on repeats itself: the end."""
        found: dict[str, Dataset] = {}
        while True:
            page = _datasets(ask(fields=fields, search_filters=dict(filters), offset=len(found)))
            new = {value: answer for answer in page if (value := text(answer, _KEYS[level])) not in found}
            found |= new
            if len(found) > most:
                raise too_many(self._node.place, level)
            if not new:
                return list(found.values())

    @contextmanager
    def _one_line(self, done: str = "", max_bytes: int = MAX_ANSWER_BYTES) -> Iterator[Time]:
        """Whatever the network or an answer brings, as an `ArchiveError` that quotes none of it; within limits."""
        place = self._node.place
        try:
            with time_limit(self._node.timeout_s, place) as limit:
                self._session.bound(limit, max_bytes)
                yield limit
        except CTResampleError:
            raise
        except requests.HTTPError as error:
            code = error.response.status_code
            raise ArchiveError(f"{place} {_ANSWERS.get(code, f'failed (HTTP status {code})')}{done}") from error
        except requests.exceptions.SSLError as error:
            raise ArchiveError(
                f"{place} shows a certificate that is not trusted, or does not speak TLS with us{done}; expected one "
                "signed by tls.ca_file, for this host name"
            ) from error
        except requests.Timeout as error:
            raise ArchiveError(f"{place} does not answer in time{done}; check url, or raise timeout_s") from error
        except (requests.exceptions.ChunkedEncodingError, EOFError) as error:
            raise ArchiveError(f"{place} broke off in mid-transfer{done}; nothing was kept; try again") from error
        except requests.ConnectionError as error:
            raise ArchiveError(f"{place} cannot be reached, or hung up{done}; check url, and that it runs") from error
        except Exception as error:  # of requests, dicomweb-client, JSON and pydicom
            raise ArchiveError(
                f"{place} answered with something that is not DICOM ({type(error).__name__}){done}; check url"
            ) from error


class _Bearer(requests.auth.AuthBase):
    """Unlike a header of the session, it is not sent along when an answer points to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _datasets(answers: Iterable[dict[str, Any]]) -> list[Dataset]:
    return [Dataset.from_json(answer) for answer in answers]


def _sop_instance(content: bytes) -> str:
    """What image a DICOM file says it is, from its file meta information."""
    stream = BytesIO(content)
    stream.seek(132)  # behind preamble and prefix
    meta = read_dataset(stream, False, True, stop_when=lambda tag, _, __: tag.group != 2)
    return str(meta.get("MediaStorageSOPInstanceUID"))
