"""An archive by classic DICOM networking: C-FIND, C-GET, C-MOVE and C-STORE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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

from ctresample.data_tools.dicom_files import damage_as_dicom_error
from ctresample.data_tools.pacs.answers import IMAGE_KEYS, SERIES_KEYS, STUDY_KEYS, images_of, series_of, uid
from ctresample.data_tools.pacs.archive import MAX_STUDIES, ArchivedSeries
from ctresample.data_tools.pacs.association import association
from ctresample.data_tools.pacs.listener import Receive, image_handler, listener
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
        with association(self._node, [build_context(_FIND)]) as opened:
            if search.names_only_a_series:
                answers = self._ask(opened, "SERIES", search.series_keys, ("StudyInstanceUID",))
                if not answers:
                    return []
                search = replace(search, study_uid=uid(answers[0], "StudyInstanceUID", self._node.place))
            for study in self._ask(opened, "STUDY", search.study_keys, STUDY_KEYS):
                keys = {"StudyInstanceUID": uid(study, "StudyInstanceUID", self._node.place)} | search.series_keys
                found += series_of(self._ask(opened, "SERIES", keys, SERIES_KEYS), study, self._node.place)
        return found

    @quiet_network()
    def list_images(self, series: ArchivedSeries) -> dict[str, str]:
        with association(self._node, [build_context(_FIND)]) as opened:
            return images_of(self._ask(opened, "IMAGE", _keys(series), IMAGE_KEYS), series, self._node.place)

    @quiet_network()
    def retrieve(self, series: ArchivedSeries, images: Mapping[str, str], receive: Receive) -> None:
        wanted = _query("SERIES", _keys(series))
        if self._node.retrieve == "move":
            with listener(self._node, receive), association(self._node, [build_context(_MOVE)]) as opened:
                self._follow(opened.send_c_move(wanted, self._node.own_ae_title, _MOVE))
            return
        said = set(images.values())
        classes = sorted((said - {""}) | (set(_IF_NOT_SAID) if "" in said else set()))
        # one syntax a context: of several the archive would pick one for all images, and convert or leave out the rest
        contexts = [build_context(sop_class, syntax) for sop_class in classes for syntax in RECEIVED]
        with association(
            self._node,
            _at_most([build_context(_GET), *contexts]),
            roles=[build_role(sop_class, scp_role=True) for sop_class in classes],
            handlers=[image_handler(receive)],
        ) as opened:
            self._follow(opened.send_c_get(wanted, _GET))

    @quiet_network()
    def store(self, files: Sequence[OutgoingFile], on_stored: Callable[[OutgoingFile, int], None]) -> None:
        kinds = sorted({(file.sop_class, _proposed(file.transfer_syntax)) for file in files})
        contexts = [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in kinds]
        with association(self._node, _at_most(contexts)) as opened:
            for number, file in enumerate(files):
                status = self._store_one(opened, file)
                if status is None:
                    raise ArchiveError(
                        f"{self._node.place} broke off after {number} of {len(files)} files; send them again"
                    )
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

    def _ask(self, opened: Association, level: str, keys: Mapping[str, str], returned: Sequence[str]) -> list[Dataset]:
        found = []
        for answer, identifier in opened.send_c_find(_query(level, keys, returned), _FIND):
            status = answer.get("Status")
            if status is None:
                raise ArchiveError(f"{self._node.place} broke off the search; try again")
            if status not in (0, *_PENDING):
                raise ArchiveError(f"{self._node.place} refused the search ({in_words(status)})")
            if identifier is not None:
                found.append(identifier)
            if level == "STUDY" and len(found) > MAX_STUDIES:
                raise ArchiveError(f"{self._node.place} has over {MAX_STUDIES} such studies; narrow the search")
        return found

    def _follow(self, answers: Iterable[tuple[Dataset, Dataset | None]]) -> None:
        """Wait for the end of a C-GET or C-MOVE; which images came is seen by those who took them."""
        for answer, _ in answers:
            status = answer.get("Status")
            if status is None:
                raise ArchiveError(f"{self._node.place} broke off in mid-transfer; nothing was kept; try again")
            if status not in _PENDING and not is_stored(status):
                own, port = self._node.own_ae_title, self._node.own_port
                known = f"; is this machine registered there as {own!r} with port {port}?" if port else ""
                raise ArchiveError(
                    f"{self._node.place} failed to send the images ({in_words(status)}); nothing was kept{known}"
                )


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
