"""Archives that attack, and strangers who answer in an archive's place: one line, in bounded time, nothing kept."""

import re
import socket
import sys
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pynetdicom import evt

from ctresample.data_tools.pacs import limits

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks" / "robustness"))  # scripts, no package

import hostile_archives as hostile

TIME_S = 1.0
"""Of a search, in these tests."""


@pytest.fixture(scope="module")
def images(derived):
    return [dcmread(path) for path in sorted(derived.glob("*.dcm"))]


@pytest.fixture
def node(tmp_path_factory):
    """Write a config file with the one node "here"."""
    path = tmp_path_factory.mktemp("config") / "pacs.toml"

    def write(port, **more):
        if more.pop("web", False):
            values = {"type": "dicomweb", "url": f"http://{hostile.LOCAL}:{port}/web"} | more
        else:
            values = {"type": "dimse", "host": hostile.LOCAL, "port": port, "ae_title": "ARCHIVE"} | more
        values.setdefault("timeout_s", TIME_S / limits.IN_ALL)
        lines = [f"{key} = {value!r}".replace("'", '"') for key, value in values.items()]
        path.write_text("\n".join(["[nodes.here]", *lines]))
        return path

    return write


@pytest.fixture
def fetching(fails, tmp_path):
    def run(path):
        began = time.monotonic()
        line = fails("fetch", "here", "--study", "1.2.3", "-o", tmp_path / "out", "--config", path)
        assert time.monotonic() - began < 20
        return line

    return run


@pytest.mark.parametrize(
    ("attack", "message", "timeout_s"),
    [
        (hostile.endless_pages, "over 1000 such studies; narrow the search", 9),
        (hostile.endless_body, "more than 64 MiB at a time", 9),
        (hostile.gzip_bomb, "more than 64 MiB at a time", 9),
        (hostile.gzip_of_nothing, "does not come to an end within 1 s", 0.1),
        (hostile.endless_redirect, "more than 64 MiB at a time", 9),
        (hostile.deep_json, "not DICOM", 9),
        (hostile.dripping_header, "does not come to an end within 1 s", 0.1),
        (hostile.dripping_body, "does not come to an end within 1 s", 0.1),
    ],
)
def test_searches_by_dicomweb(fetching, node, attack, message, timeout_s):
    with hostile.web_archive(attack) as port:
        assert message in fetching(node(port, web=True, timeout_s=timeout_s))


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (lambda images: hostile.endless_part, "more than 8 MiB at a time"),
        (lambda images: hostile.endless_parts(images[0]), "does not come to an end within 1 s"),
        (
            lambda images: hostile.endless_parts(unlisted(images[0])),
            "the archive sent 101 images that nobody asked for; nothing was kept",
        ),
        (lambda images: hostile.deflated_bomb(images[0], 270), "only 0 of the 4 images.* 1 image that came damaged"),
    ],
)
def test_transfers_by_dicomweb(fails, tmp_path, node, images, monkeypatch, attack, message):
    monkeypatch.setattr("ctresample.data_tools.pacs.dicomweb.MAX_IMAGE_BYTES", 8 * 2**20)
    timeout_s = 9 if "101" in message or "MiB" in message or "damaged" in message else 0.1
    with hostile.web_archive(hostile.with_listing(images, attack(images))) as port:
        path = node(port, web=True, timeout_s=timeout_s)
        line = fails("fetch", "here", "--study", "1.2.3", "-o", tmp_path / "out", "--config", path)
    assert re.search(message, line), line


def unlisted(image):
    other = deepcopy(image)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = "1.2.3.999"
    return other


def test_endless_searches_by_dicom_networking(fetching, node):
    with hostile.dimse_archive([(evt.EVT_C_FIND, hostile.endless_find)]) as port:
        assert "over 1000 such studies; narrow the search" in fetching(node(port, timeout_s=9))


def test_endless_answers_by_dicom_networking(fetching, node, images, monkeypatch):
    monkeypatch.setattr("ctresample.data_tools.pacs.received.MAX_REFUSED", 20)
    handlers = [(evt.EVT_C_FIND, hostile.listing(images)), (evt.EVT_C_GET, hostile.endless_pending)]
    with hostile.dimse_archive(handlers) as port:
        assert "the archive sent 21 images that nobody asked for" in fetching(node(port, timeout_s=9))
        monkeypatch.setattr("ctresample.data_tools.pacs.received.MAX_REFUSED", 10_000)
        assert "does not come to an end within 2 s" in fetching(node(port, timeout_s=0.2))


@pytest.mark.parametrize(
    ("talk", "message", "timeout_s"),
    [
        (hostile.huge_pdu, "more than 64 MiB at a time", 9),
        (hostile.dripping_pdu, "does not come to an end within 1 s", 0.1),
    ],
)
def test_what_is_no_answer(fetching, node, talk, message, timeout_s):
    with hostile.raw_archive(talk) as port:
        assert message in fetching(node(port, timeout_s=timeout_s))


@pytest.fixture
def own_port():
    with socket.socket() as probe:
        probe.bind((hostile.LOCAL, 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("who", "warned"),
    [
        ({"host": hostile.STRANGE}, ""),
        ({"title": "STRANGER", "host": hostile.LOCAL}, ""),
        ({"host": hostile.LOCAL}, "1 image that nobody asked for, 1 image that came damaged"),  # the archive itself
    ],
)
def test_a_stranger_who_answers_a_move(cli, node, images, own_port, tmp_path, who, warned):
    """Another image under a name of the archive's, and one that nobody asked for: the archive's own are kept."""
    forged = deepcopy(images[0])
    forged.SeriesInstanceUID = "1.2.3.4.5"
    stranger = hostile.stranger([unlisted(images[1]), forged], **who)
    handlers = [
        (evt.EVT_C_FIND, hostile.listing(images)),
        (evt.EVT_C_MOVE, hostile.moving(images, own_port, stranger)),
    ]
    with hostile.dimse_archive(handlers) as port:
        path = node(port, retrieve="move", own_port=own_port, timeout_s=10)
        done = cli("fetch", "here", "--study", "1.2.3", "-o", tmp_path / "out", "--config", path)
    assert done.exit_code == 0, done.output
    assert 0 not in stranger.statuses
    assert bool(stranger.statuses) == bool(warned)
    assert warned in done.stderr
    assert ("warning" in done.stderr) == bool(warned)
    before = {image.SOPInstanceUID: image.pixel_array for image in images}
    came = [dcmread(file) for file in (tmp_path / "out").rglob("*.dcm")]
    assert len(came) == len(before)
    assert all(np.array_equal(before[image.SOPInstanceUID], image.pixel_array) for image in came)


def test_the_first_image_wins(cli, node, images, own_port, tmp_path):
    other = deepcopy(images[0])
    other.PixelData = bytes(len(other.PixelData))
    sent = [*images, images[1], other]  # one again as it was, one with other pixels
    handlers = [
        (evt.EVT_C_FIND, hostile.listing(images)),
        (evt.EVT_C_MOVE, hostile.moving(sent, own_port, lambda port: None)),
    ]
    with hostile.dimse_archive(handlers) as port:
        path = node(port, retrieve="move", own_port=own_port, timeout_s=10)
        done = cli("fetch", "here", "--study", "1.2.3", "-o", tmp_path / "out", "--config", path)
    assert done.exit_code == 0, done.output
    assert "1 image that came again with another content; refused" in done.stderr
    came = {image.SOPInstanceUID: image for image in map(dcmread, (tmp_path / "out").rglob("*.dcm"))}
    assert np.array_equal(came[other.SOPInstanceUID].pixel_array, images[0].pixel_array)


def test_whoever_says_nothing_holds_up_nobody(cli, node, images, own_port, tmp_path):
    """A connection that is open and silent, as many as there are."""
    silent = []
    handlers = [
        (evt.EVT_C_FIND, hostile.listing(images)),
        (
            evt.EVT_C_MOVE,
            hostile.moving(
                images,
                own_port,
                lambda port: silent.extend(
                    socket.create_connection((hostile.LOCAL, port), source_address=(hostile.STRANGE, 0))
                    for _ in range(30)
                ),
            ),
        ),
    ]
    with hostile.dimse_archive(handlers) as port:
        path = node(port, retrieve="move", own_port=own_port, timeout_s=10)
        done = cli("fetch", "here", "--study", "1.2.3", "-o", tmp_path / "out", "--config", path)
    for connection in silent:
        connection.close()
    assert done.exit_code == 0, done.output


def test_the_archive_that_sends_from_elsewhere_is_named(fails, node, images, own_port, tmp_path):
    """A node of several hosts: what was turned away is said, and the way out works."""
    handlers = [
        (evt.EVT_C_FIND, hostile.listing(images)),
        (evt.EVT_C_MOVE, lambda event: iter([(None, None)])),
    ]
    with hostile.dimse_archive(handlers) as port:
        line = fails(
            "fetch", "here", "--study", "1.2.3", "-o", tmp_path / "out", "--config",
            node(port, retrieve="move", own_port=own_port, timeout_s=10),
        )  # fmt: skip
    assert "is this machine registered there" in line
