"""Run the command line against archives and files that attack it, and print what came of each.

Run: python benchmarks/robustness/attacks.py     (exit status 1 where one was not handled; about two minutes)
Handled means: exit status 1 to 3 (or 0, where the attack is only to be passed over), one line that says why, no
traceback and nothing "unexpected", within `MAX_S` of computing and `MAX_BYTES` of memory (of an image without end: what
one image may have), and nothing left behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hostile_archives as archives
import hostile_files
import numpy as np
from dicom_samples import ct_image, encode
from pynetdicom import evt

from ctresample.cli import app
from ctresample.data_tools.pacs.limits import MAX_IMAGE_BYTES
from ctresample.pipelines.batch.run import open_batch  # noqa: F401 - all that a verb imports, before it is measured
from ctresample.testing.priors import random_prior

MAX_S, MAX_BYTES = 5.0, 300 * 10**6
_TIMEOUT_S = 0.3  # of the archives: a search may last ten times as long, all of it computing, and must not take MAX_S


@dataclass
class Outcome:
    """What came of one attack."""

    group: str
    name: str
    handled: bool
    said: str
    seconds: float
    wall_s: float
    n_bytes: int


def run(words: list[Any], scratch: Path) -> tuple[int, str, float, float, int]:
    """Run the command line in a process of its own: status, stderr, seconds of CPU and in all, most memory."""
    said, began = scratch / "stderr", time.perf_counter()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            try:
                app([str(word) for word in words])
            except SystemExit as end:
                os._exit(int(end.code or 0))
        os._exit(99)
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    seconds = used.ru_utime + used.ru_stime
    return code, said.read_text(), seconds, time.perf_counter() - began, used.ru_maxrss * 1024


def attack(
    group: str,
    name: str,
    words: list[Any],
    scratch: Path,
    *,
    may_pass: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Outcome:
    """One of them, judged."""
    out = scratch / "out"
    *_, idle_bytes = run(["--version"], scratch)  # what the process takes that only begins
    code, text, seconds, wall_s, n_bytes = run([*words, "-o", out] if "info" not in words else words, scratch)
    n_bytes -= idle_bytes
    lines = text.splitlines()
    errors = [line for line in lines if line.startswith("ctresample: error: ")]
    clean = "unexpected" not in text and "Traceback" not in text
    handled = clean and seconds < MAX_S and n_bytes < max_bytes
    handled &= (code == 0 and may_pass) or (code in (1, 2, 3) and len(errors) == 1 and not out.exists())
    handled &= not list(scratch.glob(".ctresample-*"))
    shutil.rmtree(out, ignore_errors=True)
    out.unlink(missing_ok=True) if out.is_file() else None
    return Outcome(group, name, handled, (errors or lines or [f"exit {code}"])[-1], seconds, wall_s, n_bytes)


def _node(scratch: Path, **values: Any) -> Path:
    path = scratch / "pacs.toml"
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in ({"timeout_s": _TIMEOUT_S} | values).items()]
    path.write_text("\n".join(["[nodes.here]", *lines]))
    return path


def _web(scratch: Path, port: int) -> Path:
    return _node(scratch, type="dicomweb", url=f"http://{archives.LOCAL}:{port}/web")


def _dimse(scratch: Path, port: int, **more: Any) -> Path:
    return _node(scratch, type="dimse", host=archives.LOCAL, port=port, ae_title="ARCHIVE", **more)


def against_archives(scratch: Path) -> Iterator[Outcome]:
    """All hostile archives, and strangers at our own door."""
    images = []
    for z in range(3):
        image = ct_image(z)
        image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = "1.2.3", "1.2.3.1", f"1.2.3.1.{z}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        images.append(image)
    fetch = ["fetch", "here", "--study", "1.2.3", "--config"]
    unlisted = deepcopy(images[0])
    unlisted.SOPInstanceUID = unlisted.file_meta.MediaStorageSOPInstanceUID = "1.2.3.9"
    web: list[Callable[[Any], None]] = [
        archives.endless_pages,
        archives.endless_body,
        archives.gzip_bomb,
        archives.gzip_of_nothing,
        archives.deep_json,
        archives.endless_redirect,
        archives.dripping_header,
        archives.dripping_body,
    ]
    transfers = {
        "an endless part": archives.endless_part,
        "the same image for ever": archives.endless_parts(images[0]),
        "images that nobody asked for": archives.endless_parts(unlisted),
        "a deflated image of 1 GB": archives.deflated_bomb(images[0]),
    }
    for talk in web:
        with archives.web_archive(talk) as port:
            yield attack("DICOMweb", _title(talk), [*fetch, _web(scratch, port)], scratch)
    for name, talk in transfers.items():
        with archives.web_archive(archives.with_listing(images, talk)) as port:
            most = 2 * MAX_IMAGE_BYTES if "endless part" in name else MAX_BYTES  # one image is held in memory
            yield attack("DICOMweb", name, [*fetch, _web(scratch, port)], scratch, max_bytes=most)
    for talk in (archives.huge_pdu, archives.dripping_pdu):
        with archives.raw_archive(talk) as port:
            yield attack("DICOM networking", _title(talk), [*fetch, _dimse(scratch, port)], scratch)
    with archives.dimse_archive([(evt.EVT_C_FIND, archives.endless_find)]) as port:
        yield attack("DICOM networking", "an endless search", [*fetch, _dimse(scratch, port)], scratch)
    listed = (evt.EVT_C_FIND, archives.listing(images))
    with archives.dimse_archive([listed, (evt.EVT_C_GET, archives.endless_pending)]) as port:
        yield attack("DICOM networking", "an endless C-GET", [*fetch, _dimse(scratch, port)], scratch)
    forged = deepcopy(images[1])
    forged.PixelData = bytes(len(forged.PixelData))
    for name, how in (
        ("from another address", {"host": archives.STRANGE}),
        ("under another title", {"host": archives.LOCAL, "title": "STRANGER"}),
    ):
        with socket.socket() as probe:
            probe.bind((archives.LOCAL, 0))
            own = probe.getsockname()[1]
        move = archives.moving(images, own, archives.stranger([forged, unlisted], **how))
        with archives.dimse_archive([listed, (evt.EVT_C_MOVE, move)]) as port:
            node = _dimse(scratch, port, retrieve="move", own_port=own, timeout_s=10)
            yield attack("C-MOVE, a stranger", name, [*fetch, node], scratch, may_pass=True)


def _title(talk: Callable[..., Any]) -> str:
    return talk.__name__.replace("_", " ")


def against_files(scratch: Path) -> Iterator[Outcome]:
    """All hostile files."""
    files = scratch / "files"
    files.mkdir()
    for name, path in hostile_files.dicom_files(files):
        words = ["simulate", path, "--views", 4, "--size", 32]
        outcome = attack("DICOM and zip", name, words, scratch, may_pass=True)
        yield outcome
    for name, path in hostile_files.sidecars(files):
        yield attack("sidecars", name, ["import", path], scratch)
    sound = scratch / "sound"
    random_prior().save_pretrained(sound)
    scan = scratch / "scan.h5"
    (scratch / "ct").mkdir()
    (scratch / "ct" / "a.dcm").write_bytes(encode(ct_image(0)))
    code, text, *_ = run(["simulate", scratch / "ct", "-o", scan, "--views", 8, "--size", 32], scratch)
    assert code == 0, text
    for name, folder in hostile_files.priors(files, sound):
        yield attack("prior folders", name, ["reconstruct", scan, "--prior", folder], scratch)


def main() -> None:
    """Print a line an attack, and a table of all."""
    np.seterr(all="ignore")
    archives._gzipped_spaces()  # noqa: SLF001 - made before anybody waits for it
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as place:
        for group in (against_archives, against_files):
            for number, one in enumerate(_in_folders(group, Path(place) / group.__name__)):
                outcomes.append(one)
                mark = "handled" if one.handled else "NOT HANDLED"
                print(f"{number + 1:3} {mark}: {one.group}: {one.name}: {one.said[:200]}", flush=True)
    print(f"\n{'attacks':20} {'tried':>6} {'handled':>8} {'CPU, worst':>11} {'time, worst':>12} {'memory, worst':>14}")
    for group in dict.fromkeys(one.group for one in outcomes):
        some = [one for one in outcomes if one.group == group]
        cpu_s, wall_s = max(one.seconds for one in some), max(one.wall_s for one in some)
        print(
            f"{group:20} {len(some):6} {sum(one.handled for one in some):8} {cpu_s:9.1f} s {wall_s:10.1f} s "
            f"{max(one.n_bytes for one in some) / 1e6:11.0f} MB"
        )
    sys.exit(not all(one.handled for one in outcomes))


def _in_folders(group: Callable[[Path], Iterator[Outcome]], scratch: Path) -> Iterator[Outcome]:
    scratch.mkdir()
    yield from group(scratch)


if __name__ == "__main__":
    main()
