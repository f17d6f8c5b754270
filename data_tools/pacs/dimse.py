"""An archive by classic DICOM networking: C-FIND, C-GET, C-MOVE and C-STORE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from pydicom import Dataset, dcmread
from pydicom.uid import UID, CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage
from pynetdicom import Association, build_context, build_role
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from ctresample.data_tools.dicom.files import damage_as_dicom_error
from ctresample.data_tools.pacs.answers import IMAGE_KEYS, SERIES_KEYS, STUDY_KEYS, images_of, series_of, too_many, uid
from ctresample.data_tools.pacs.archive import ArchivedSeries, Receive
from ctresample.data_tools.pacs.association import association
from ctresample.data_tools.pacs.limits import (
    MAX_IMAGE_BYTES,
    MAX_IMAGES,
    MAX_REFUSED,
    MAX_SERIES,
    MAX_STUDIES,
    Time,
    time_limit,
)
from ctresample.data_tools.pacs.listener import image_handler, listener
from ctresample.data_tools.pacs.outgoing import OutgoingFile
from ctresample.data_tools.pacs.quiet import quiet_network
from ctresample.data_tools.pacs.search import Search
from ctresample.data_tools.pacs.settings import DimseNode
from ctresample.data_tools.pacs.statuses import (
    SOP_CLASS_NOT_SUPPORTED,
    in_words,
    is_stored,
)
from ctresample.data_tools.pacs.transfer_syntaxes import RECEIVED, UNCOMPRESSED
from ctresample.errors import ArchiveError

_FIND = StudyRootQueryRetrieveInformationModelFind
_GET = StudyRootQueryRetrieveInformationModelGet
_MOVE = StudyRootQueryRetrieveInformationModelMove
_MAX_CONTEXTS = 128  # PS3.8: odd numbers in one byte
_PENDING = (0xFF00, 0xFF01)
_MOST = {"STUDY": MAX_STUDIES, "SERIES": MAX_SERIES, "IMAGE": MAX_IMAGES}
_IF_NOT_SAID = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)


class DimseArchive:
    """See `Archive`.

    Args:
        node: its settings.
    """

    def __init__(self, node: DimseNode) -> None:
        self._node = node

    @quiet_network()
    def find(self, search: Search) -> list[ArchivedSeries]:
        found: list[ArchivedSeries] = []
        with self._in_time() as limit, association(self._node, [build_context(_FIND)], limit) as opened:
            if search.names_only_a_series:
                answers = self._ask(opened, "SERIES", search.series_keys, ("StudyInstanceUID",), limit)
                if not answers:
                    return []
                search = replace(search, study_uid=uid(answers[0], "StudyInstanceUID", self._node.place))
            for study in self._ask(opened, "STUDY", search.study_keys, STUDY_KEYS, limit):
                keys = {"StudyInstanceUID": uid(study, "StudyInstanceUID", self._node.place)} | search.series_keys
                answers = self._ask(opened, "SERIES", keys, SERIES_KEYS, limit, most=MAX_SERIES - len(found))
                found += series_of(answers, study, self._node.place)
        return found

    @quiet_network()
    def list_images(self, series: ArchivedSeries) -> dict[str, str]:
        with self._in_time() as limit, association(self._node, [build_context(_FIND)], limit) as opened:
            answers = self._ask(opened, "IMAGE", _keys(series), IMAGE_KEYS, limit)
            return images_of(answers, series, self._node.place)

    @quiet_network()
    def retrieve(self, series: ArchivedSeries, images: Mapping[str, str], receive: Receive) -> None:
        with self._in_time() as limit:
            if self._node.retrieve == "move":
                self._move(series, receive, limit)
            else:
                self._get(series, images, receive, limit)

    def _move(self, series: ArchivedSeries, receive: Receive, limit: Time) -> None:
        with (
            listener(self._node, receive, limit) as turned_away,
            association(self._node, [build_context(_MOVE)], limit) as opened,
        ):
            wanted = _query("SERIES", _keys(series))
            self._follow(opened.send_c_move(wanted, self._node.own_ae_title, _MOVE), limit, turned_away)

    def _get(self, series: ArchivedSeries, images: Mapping[str, str], receive: Receive, limit: Time) -> None:
        said = set(images.values())
        classes = sorted((said - {""}) | (set(_IF_NOT_SAID) if "" in said else set()))
        # one syntax a context: of several the archive would pick one for all images, and convert or leave out the rest
        contexts = [build_context(sop_class, syntax) for sop_class in classes for syntax in RECEIVED]
        with association(
            self._node,
            _at_most([build_context(_GET), *contexts]),
            limit,
            max_bytes=MAX_IMAGE_BYTES,
            roles=[build_role(sop_class, scp_role=True) for sop_class in classes],
            handlers=[image_handler(receive, limit)],
        ) as opened:
            self._follow(opened.send_c_get(_query("SERIES", _keys(series)), _GET), limit)

    @quiet_network()
    def store(self, files: Sequence[OutgoingFile], on_stored: Callable[[OutgoingFile, int], None]) -> None:
        kinds = sorted({(file.sop_class, _proposed(file.transfer_syntax)) for file in files})
        contexts = [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in kinds]
        with self._in_time() as limit, association(self._node, _at_most(contexts), limit) as opened:
            for number, file in enumerate(files):
                status = self._store_one(opened, file)
                if status is None:
                    raise ArchiveError(
                        f"{self._node.place} broke off after {number} of {len(files)} files; send them again"
                    )
                limit.restart()
                on_stored(file, status)

    def _store_one(self, opened: Association, file: OutgoingFile) -> int | None:
        """The status that the archive gave it; None where there is no answer."""
        with damage_as_dicom_error(file.path):
            dataset = dcmread(file.path)
            if not opened.is_established:
                return None
            try:
                return opened.send_c_store(dataset).get("Status")
            except ValueError:  # no context for it was accepted
                return SOP_CLASS_NOT_SUPPORTED
            except RuntimeError:  # the association ended just now
                return None

    def _in_time(self) -> AbstractContextManager[Time]:
        return time_limit(self._node.timeout_s, self._node.place)

    def _ask(
        self,
        opened: Association,
        level: str,
        keys: Mapping[str, str],
        returned: Sequence[str],
        limit: Time,
        *,
        most: int | None = None,
    ) -> list[Dataset]:
        found: list[Dataset] = []
        most = _MOST[level] if most is None else most
        for answer, identifier in opened.send_c_find(_query(level, keys, returned), _FIND):
            limit.check()
            status = answer.get("Status")
            if status is None:
                raise ArchiveError(f"{self._node.place} broke off the search; try again")
            if status not in (0, *_PENDING):
                raise ArchiveError(f"{self._node.place} refused the search ({in_words(status)})")
            if identifier is not None:
                found.append(identifier)
            if len(found) > most:
                raise too_many(self._node.place, level.lower())
        return found

    def _follow(
        self, answers: Iterable[tuple[Dataset, Dataset | None]], limit: Time, turned_away: Sequence[str] = ()
    ) -> None:
        """Wait for the end of a C-GET or C-MOVE; which images came is seen by those who took them."""
        for n_answers, (answer, _) in enumerate(answers, 1):
            limit.check()
            status = answer.get("Status")
            if status is None or n_answers > _MOST["IMAGE"] + MAX_REFUSED:
                raise ArchiveError(f"{self._node.place} broke off in mid-transfer; nothing was kept; try again")
            if status not in _PENDING and not is_stored(status):
                raise ArchiveError(
                    f"{self._node.place} failed to send the images ({in_words(status)}); nothing was kept"
                    f"{self._hint(turned_away)}"
                )

    def _hint(self, turned_away: Sequence[str]) -> str:
        """What to look at when the images of a C-MOVE do not come."""
        if self._node.own_port is None:
            return ""
        if turned_away:
            return f"; {turned_away[-1]} was turned away: if the archive sends from there, add it to senders"
        own, port = self._node.own_ae_title, self._node.own_port
        return f"; is this machine registered there as {own!r} with port {port}?"


def _keys(series: ArchivedSeries) -> dict[str, str]:
    return {"StudyInstanceUID": series.study_uid, "SeriesInstanceUID": series.series_uid}


def _query(level: str, keys: Mapping[str, str], returned: Sequence[str] = ()) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword in returned:
        setattr(query, keyword, None)
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    if not all(value.isascii() for value in keys.values()):
        query.SpecificCharacterSet = "ISO_IR 192"
    return query


def _proposed(syntax: UID) -> tuple[UID, ...]:
    """What to propose for a file; of the uncompressed ones pynetdicom makes either from the other."""
    return UNCOMPRESSED if syntax in UNCOMPRESSED else (syntax,)


def _at_most(contexts: list[PresentationContext]) -> list[PresentationContext]:
    if len(contexts) > _MAX_CONTEXTS:
        raise ArchiveError(f"{len(contexts)} combinations of kind and encoding do not fit one association; take fewer")
    return contexts
