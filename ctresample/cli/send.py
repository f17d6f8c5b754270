"""``ctresample send``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer

from ctresample.cli import options
from ctresample.cli.screen import say, screen

if TYPE_CHECKING:
    from ctresample.data_tools.pacs.outgoing import OutgoingFile


def send(node: options.ArchiveNode, dicom_dir: options.DicomFolder, config: options.ArchiveConfig = None) -> None:
    """Send a folder of DICOM files to an image archive (PACS), by DICOM networking or DICOMweb.

    Checks that all files are DICOM first, then that the archive says of each that it has it. Sending again does no
    harm. Exit status 3: the archive refused some files.
    """
    from ctresample.data_tools.pacs import open_archive, read_node
    from ctresample.data_tools.pacs.outgoing import find_outgoing
    from ctresample.data_tools.pacs.statuses import in_words, is_stored

    statuses: Counter[int] = Counter()
    with screen() as show:
        show.progress(0, "checking the files")
        settings = read_node(node, options.archive_config(config), on_warning=show.note)
        archive = open_archive(settings)
        files = find_outgoing(dicom_dir)

        def on_stored(file: OutgoingFile, status: int) -> None:
            statuses[status] += 1
            if not is_stored(status):
                show.note(f"{file.path}: refused ({in_words(status)})")
            show.progress(statuses.total() / len(files), "sending")

        archive.store(files, on_stored)
    n_stored = sum(count for status, count in statuses.items() if is_stored(status))
    say(f"{settings.place}: has {n_stored} of {len(files)} files")
    for status, count in sorted(statuses.items()):
        if status:
            say(f"  {count} with {in_words(status)}")
    if n_stored < len(files):
        raise typer.Exit(options.SOME_FAILED if n_stored else 1)
