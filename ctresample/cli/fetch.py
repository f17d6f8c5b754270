"""``ctresample fetch``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctresample.cli import options
from ctresample.cli.screen import say, screen
from ctresample.errors import ArchiveError

if TYPE_CHECKING:
    from ctresample.data_tools.pacs import ArchivedSeries

_WHAT = "What to fetch"


def fetch(
    node: options.ArchiveNode,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="New or empty folder. Without it: only list what matches."),
    ] = None,
    study: Annotated[
        str, typer.Option(metavar="UID", help="StudyInstanceUID.", rich_help_panel=_WHAT, show_default=False)
    ] = "",
    series: Annotated[
        str, typer.Option(metavar="UID", help="SeriesInstanceUID.", rich_help_panel=_WHAT, show_default=False)
    ] = "",
    patient_id: Annotated[
        str,
        typer.Option(
            metavar="ID", help="PatientID; * and ? for unknown letters.", rich_help_panel=_WHAT, show_default=False
        ),
    ] = "",
    date: Annotated[
        str,
        typer.Option(
            metavar="YYYYMMDD",
            help="Of the study, or 20240301-20240331.",
            rich_help_panel=_WHAT,
            show_default=False,
        ),
    ] = "",
    accession: Annotated[
        str, typer.Option(metavar="NUMBER", help="AccessionNumber.", rich_help_panel=_WHAT, show_default=False)
    ] = "",
    modality: Annotated[
        str, typer.Option(metavar="CT", help="Only series of this modality.", rich_help_panel=_WHAT, show_default=False)
    ] = "",
    details: Annotated[
        bool, typer.Option("--details", help="List names, dates and descriptions, too: patient data on the screen.")
    ] = False,
    as_json: options.AsJson = False,
    config: options.ArchiveConfig = None,
) -> None:
    """Fetch series from an image archive (PACS), by DICOM networking or DICOMweb.

    Without -o it only lists the series that match: run it, choose, and repeat it with -o and the UID of a study or
    series. With -o it fetches all that match, each series into a folder of its own, whole or not at all.
    """
    from ctresample.data_tools.pacs import Search, open_archive, read_node
    from ctresample.files import whole_folder

    search = Search(study, series, patient_id, date, accession, modality)
    with screen() as show:
        show.progress(0, "asking the archive")
        settings = read_node(node, options.archive_config(config), on_warning=show.note)
        archive = open_archive(settings)
        if out is None:
            found = archive.find(search)
        else:
            from ctresample.data_tools.pacs.fetch import fetch_series

            with whole_folder(out) as folder:
                found = _some(archive.find(search), settings.place)
                n = fetch_series(
                    archive, found, folder, place=settings.place, progress=show.progress, on_warning=show.note
                )
    if out is None:
        _list(_some(found, settings.place), details, as_json)
        return
    if as_json:
        options.print_json({"out": str(out), "series": len(found), "images": n})
        return
    say(f"{out}: {len(found)} series, {n} images")


def _some(found: list[ArchivedSeries], place: str) -> list[ArchivedSeries]:
    if not found:
        raise ArchiveError(f"{place} has no such series; check what to look for")
    return found


def _list(found: list[ArchivedSeries], details: bool, as_json: bool) -> None:
    """Lines of text, as a table that fits no screen would cut the UIDs in two."""
    if as_json:
        options.print_json(
            [{name: value for name, value in asdict(one).items() if details or name != "details"} for one in found]
        )
        return
    before = None
    for series in found:
        if series.study_uid != before:
            say(f"study {series.study_uid}")
            if details:
                facts = [
                    f"{heading} {fact}" for heading, fact in series.details.items() if heading != "series" and fact
                ]
                say(f"  {', '.join(facts)}")
        before = series.study_uid
        images = "? images" if series.n_images is None else f"{series.n_images} images"
        words = [series.modality or "?", f"no. {series.number or '?'}", images, series.body_part]
        words += [series.details["series"]] * details
        say(f"  series {series.series_uid}  {', '.join(word for word in words if word)}")
