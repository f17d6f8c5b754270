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

from ctresample.data_tools.dicom_files import damage_as_dicom_error
from ctresample.data_tools.pacs.answers import IMAGE_KEYS, SERIES_KEYS, STUDY_KEYS, images_of, series_of, text, uid
from ctresample.data_tools.pacs.archive import MAX_STUDIES, ArchivedSeries
from ctresample.data_tools.pacs.association import CONNECT_S
from ctresample.data_tools.pacs.listener import Receive
from ctresample.data_tools.pacs.outgoing import OutgoingFile
from ctresample.data_tools.pacs.quiet import quiet_network
from ctresample.data_tools.pacs.search import Search
from ctresample.data_tools.pacs.settings import DicomwebNode
from ctresample.errors import ArchiveError, CTResampleError

_AS_STORED = (("application/dicom", "*"),)
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
        session = _Session()
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
        self._client = DICOMwebClient(node.url, session, timeout=(CONNECT_S, node.timeout_s))
        self._client.set_http_retry_params(retry=False)  # it would hide the last answer

    @quiet_network()
    def find(self, search: Search) -> list[ArchivedSeries]:
        client, found = self._client, []
        with self._one_line():
            if search.names_only_a_series:
                answers = _datasets(client.search_for_series(search_filters=search.series_keys))
                if not answers:
                    return []
                search = replace(search, study_uid=uid(answers[0], "StudyInstanceUID", self._node.place))
            studies = _all_pages(client.search_for_studies, "StudyInstanceUID", STUDY_KEYS, search.study_keys)
            if len(studies) > MAX_STUDIES:
                raise ArchiveError(f"{self._node.place} has over {MAX_STUDIES} such studies; narrow the search")
            for study in studies:
                ask = partial(client.search_for_series, uid(study, "StudyInstanceUID", self._node.place))
                answers = _all_pages(ask, "SeriesInstanceUID", SERIES_KEYS, search.series_keys)
                found += series_of(answers, study, self._node.place)
        return found

    @quiet_network()
    def list_images(self, series: ArchivedSeries) -> dict[str, str]:
        ask = partial(self._client.search_for_instances, series.study_uid, series.series_uid)
        with self._one_line():
            answers = _all_pages(ask, "SOPInstanceUID", IMAGE_KEYS, {})
            return images_of(answers, series, self._node.place)

    @quiet_network()
    def retrieve(self, series: ArchivedSeries, images: Mapping[str, str], receive: Receive) -> None:
        with self._one_line():
            for dataset in self._client.iter_series(series.study_uid, series.series_uid, media_types=_AS_STORED):
                content = BytesIO()
                dataset.save_as(content, enforce_file_format=True)
                receive(str(dataset.get("SOPInstanceUID")), content.getvalue())

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

    @contextmanager
    def _one_line(self, done: str = "") -> Iterator[None]:
        """Whatever the network or an answer brings, as an `ArchiveError` that quotes none of it."""
        place = self._node.place
        try:
            yield
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
        except requests.exceptions.ChunkedEncodingError as error:
            raise ArchiveError(f"{place} broke off in mid-transfer{done}; nothing was kept; try again") from error
        except requests.ConnectionError as error:
            raise ArchiveError(f"{place} cannot be reached, or hung up{done}; check url, and that it runs") from error
        except Exception as error:  # of requests, dicomweb-client, JSON and pydicom
            raise ArchiveError(
                f"{place} answered with something that is not DICOM ({type(error).__name__}){done}; check url"
            ) from error


class _Session(requests.Session):
    """Sends wildcards as they are, as it may: Orthanc 1.10 does not decode them; and trusts the CA it was given."""

    def request(self, method: str, url: str, **settings: Any) -> requests.Response:
        settings["verify"] = self.verify  # or REQUESTS_CA_BUNDLE would win
        return super().request(method, url.replace("%2A", "*").replace("%3F", "?"), **settings)


class _Bearer(requests.auth.AuthBase):
    """Unlike a header of the session, it is not sent along when an answer points to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _all_pages(
    ask: Callable[..., list[dict[str, Any]]],
    key: str,
    fields: Sequence[str],
    filters: Mapping[str, str],
) -> list[Dataset]:
    """All answers, however few an archive gives at a time; one that cannot go on repeats itself, which is the end."""
    found: dict[str, Dataset] = {}
    while len(found) <= MAX_STUDIES or key != "StudyInstanceUID":
        page = _datasets(ask(fields=fields, search_filters=dict(filters), offset=len(found)))
        new = {value: answer for answer in page if (value := text(answer, key)) not in found}
        if not new:
            break
        found |= new
    return list(found.values())


def _datasets(answers: Iterable[dict[str, Any]]) -> list[Dataset]:
    return [Dataset.from_json(answer) for answer in answers]
