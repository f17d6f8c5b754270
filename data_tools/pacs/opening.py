"""The way to speak to an archive, by what its settings say."""

from __future__ import annotations

from ctresample.data_tools.pacs.archive import Archive
from ctresample.data_tools.pacs.settings import DimseNode, Node
from ctresample.errors import ArchiveError


def open_archive(node: Node) -> Archive:
    """The archive at a node; `ArchiveError` if what speaks to it is not installed."""
    try:
        if isinstance(node, DimseNode):
            from ctresample.data_tools.pacs.dimse import DimseArchive

            return DimseArchive(node)
        from ctresample.data_tools.pacs.dicomweb import DicomwebArchive

        return DicomwebArchive(node)
    except ModuleNotFoundError as error:
        raise ArchiveError(f'{error.name} is not installed; run: pip install "ctresample[pacs]"') from error
