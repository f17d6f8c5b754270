"""Fetch series from an archive into a folder, checked to be whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ctresample.data_tools.pacs.archive import Archive, ArchivedSeries
from ctresample.data_tools.pacs.received import ReceivedSeries
from ctresample.errors import CTResampleError
from ctresample.paths import StrPath, as_path


def fetch_series(
    archive: Archive,
    found: Sequence[ArchivedSeries],
    folder: StrPath,
    *,
    place: str,
    progress: Callable[[float, str], None] = lambda fraction, step: None,
    on_warning: Callable[[str], None] = lambda line: None,
) -> int:
    """Retrieve every image of some series: ``series-001/0001.dcm`` and so on.

    Args:
        archive: that has them.
        found: as it described them.
        folder: empty; on an error what it holds is not to be used.
        place: the archive's name, for messages.
        progress: called with the fraction done and what is being done.
        on_warning: called with one line when more came than was asked for.

    Returns:
        How many images came.

    Raises:
        ArchiveError: not every image came whole.
        OutputError: one cannot be written.
    """
    folder = as_path(folder, "folder")
    n_images = 0
    for number, series in enumerate(found, 1):
        step = f"receiving series {number} of {len(found)}"
        progress((number - 1) / len(found), step)
        images = archive.list_images(series)

        def on_file(count: int, done: int = number - 1, of: int = len(images), step: str = step) -> None:
            progress((done + count / of) / len(found), step)

        received = ReceivedSeries(folder / f"series-{number:03d}", series.series_uid, images, on_file)
        try:
            archive.retrieve(series, images, received.receive)
        except CTResampleError:
            if received.error:  # the cause; what the archive made of it says less
                raise received.error from None
            raise
        if received.error:
            raise received.error
        received.check_complete(place)
        if received.refused:
            on_warning(f"warning: from {place} came {received.said()}; refused: the series is as the archive lists it")
        n_images += len(images)
    return n_images
