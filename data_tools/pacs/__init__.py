"""Image archives (PACS): search, fetch and send over DIMSE or DICOMweb; ``open_archive`` picks by the node."""

from ctresample.data_tools.pacs.archive import Archive, ArchivedSeries
from ctresample.data_tools.pacs.opening import open_archive
from ctresample.data_tools.pacs.search import Search
from ctresample.data_tools.pacs.settings import read_node

__all__ = ["Archive", "ArchivedSeries", "Search", "open_archive", "read_node"]
