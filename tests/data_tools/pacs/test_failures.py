"""Archives that misbehave: always one line, exit status 1, and nothing left behind."""

import socket
import ssl
from contextlib import contextmanager

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, JPEG2000Lossless
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

import ctresample.data_tools.pacs.association
import ctresample.data_tools.pacs.received
from ctresample.errors import OutputError

LOCAL = "127.0.0.1"


@contextmanager
def archive(handlers=(), *, contexts=(), context=None, **settings):
    """A pynetdicom server on a free port."""
    ae = AE("ARCHIVE")
    for name, value in settings.items():
        setattr(ae, name, value)
    ae.supported_contexts = [
        build_context(StudyRootQueryRetrieveInformationModelFind),
        build_context(StudyRootQueryRetrieveInformationModelGet),
        *contexts,
    ]
    ae.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    server = ae.start_server((LOCAL, 0), block=False, ssl_context=context, evt_handlers=list(handlers))
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def series_handlers(datasets, *, listed=None, counted=None, sent=None, named=None):
    """Handlers of an archive with one series: it lists, counts and sends other things when told so."""
    first = datasets[0]

    def find(event):
        level = event.identifier.QueryRetrieveLevel
        for dataset in datasets[: listed if level == "IMAGE" else 1]:
            answer = Dataset()
            answer.QueryRetrieveLevel = level
            answer.StudyInstanceUID, answer.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID
            answer.Modality, answer.NumberOfSeriesRelatedInstances = "CT", counted or len(datasets)
            answer.SOPInstanceUID = named or dataset.SOPInstanceUID
            answer.SOPClassUID = CTImageStorage
            yield 0xFF00, answer
        yield 0x0000, None

    def get(event):
        yield len(datasets)
        for number, dataset in enumerate(datasets):
            if sent == number:
                event.assoc.abort()
                return
            yield 0xFF00, dataset

    return [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get)]


def test_nobody_there(fetching, fails, dimse, one_node, derived, monkeypatch):
    with socket.socket() as closed:
        closed.bind((LOCAL, 0))
        port = closed.getsockname()[1]
        assert "cannot be reached (Connection refused)" in fetching(dimse(port))
        assert "cannot be reached" in fetching(one_node("", type="dicomweb", url=f"http://{LOCAL}:{port}"))
        assert "cannot be reached" in fails("send", "here", derived, "--config", dimse(port))
    assert "cannot be reached" in fetching(dimse(104, host="nowhere.invalid"))
    assert "cannot be reached" in fetching(one_node("", type="dicomweb", url="http://nowhere.invalid"))


def test_no_answer(fetching, dimse, one_node, monkeypatch):
    monkeypatch.setattr(ctresample.data_tools.pacs.association, "CONNECT_S", 0.2)
    with socket.socket() as silent:
        silent.bind((LOCAL, 0))
        silent.listen()
        port = silent.getsockname()[1]
        assert "does not answer our request" in fetching(dimse(port))
        slow = one_node("", type="dicomweb", url=f"http://{LOCAL}:{port}", timeout_s=0.2)
        assert "does not answer in time" in fetching(slow)


def test_unknown_to_the_archive(fetching, dimse):
    with archive(require_calling_aet=["SOMEBODY"]) as port:
        assert "does not know our AE title 'CTRESAMPLE'" in fetching(dimse(port))
    with archive(maximum_associations=0) as port:
        assert "no connection free" in fetching(dimse(port))


def test_archive_that_cannot_search(fetching, dimse):
    with archive() as port:  # no handler
        assert "refused the search (status 0xC" in fetching(dimse(port))


def test_archive_for_storage_only(fetching, dimse):
    ae = AE("ARCHIVE")
    ae.add_supported_context(CTImageStorage)
    server = ae.start_server((LOCAL, 0), block=False)
    try:
        line = fetching(dimse(server.socket.getsockname()[1]))
    finally:
        server.shutdown()
    assert "does not offer what is needed (Study Root" in line


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sent": 2}, "broke off in mid-transfer"),
        ({"listed": 3}, "lists 3 images of a series that it says has 4"),
        ({"counted": 5}, "lists 4 images of a series that it says has 5"),
        ({"named": "../../evil"}, "without a valid SOPInstanceUID"),
    ],
)
def test_incomplete_series(fetching, dimse, datasets, wrong, message):
    with archive(series_handlers(datasets, **wrong)) as port:
        assert message in fetching(dimse(port))


def test_fewer_images_than_listed(fetching, dimse, datasets):
    find, _ = series_handlers(datasets)
    _, get = series_handlers(datasets[:3])
    with archive([find, get]) as port:
        assert "sent only 3 of the 4 images" in fetching(dimse(port))


def test_more_images_than_listed(cli, dimse, datasets, tmp_path):
    with archive(series_handlers(datasets, listed=3, counted=3)) as port:
        study = datasets[0].StudyInstanceUID
        done = cli("fetch", "here", "--study", study, "-o", tmp_path / "out", "--config", dimse(port))
    assert done.exit_code == 0, done.output
    assert "warning: from here" in done.stderr
    assert "came 1 image that nobody asked for; refused" in done.stderr
    assert "1 series, 3 images" in done.stdout
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 3


def test_disk_full(fetching, dimse, datasets, monkeypatch):
    def full(path, content):
        raise OutputError(f"cannot write {path} (No space left on device)")

    monkeypatch.setattr(ctresample.data_tools.pacs.received, "write_file", full)
    with archive(series_handlers(datasets)) as port:
        assert "No space left on device" in fetching(dimse(port))


@pytest.fixture
def store(cli, dimse, derived):
    """Send to an archive that gives these statuses; returns what happened."""

    def run(*statuses, folder=derived, **settings):
        left = list(statuses)

        def handle(event):
            status = left.pop(0)
            if status is None:
                event.assoc.abort()
                return 0
            return status

        with archive([(evt.EVT_C_STORE, handle)], **settings) as port:
            return cli("send", "here", folder, "--config", dimse(port))

    return run


def test_every_status_counts(store):
    done = store(0, 0xB000, 0x0111, 0xB007)
    assert done.exit_code == 0, done.output
    assert "has 4 of 4 files" in done.stdout
    assert "1 with status 0xB000, elements were changed" in done.stdout
    done = store(0, 0xA700, 0xC123, 0)
    assert done.exit_code == 3
    assert "has 2 of 4 files" in done.stdout
    assert "1 with status 0xA700, out of resources" in done.stdout
    assert "0002.dcm: refused" in done.stderr
    done = store(0xA901, 0x0124, 0xC000, 0x0122)
    assert done.exit_code == 1
    assert "has 0 of 4 files" in done.stdout


def test_server_fails_in_mid_transfer(store):
    done = store(0, 0, None)
    assert done.exit_code == 1
    assert "broke off after 2 of 4 files" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.output


def test_encoding_that_is_not_accepted(store, dicom, tmp_path):
    dicom.make_series(tmp_path / "ct", n=3, shape=(64, 64), edit=lambda ds, z: z and ds.compress(JPEG2000Lossless))
    done = store(0, folder=tmp_path / "ct")
    assert done.exit_code == 3
    assert "has 1 of 3 files" in done.stdout
    assert "2 with status 0x0122" in done.stdout


def test_file_that_is_not_encoded_as_it_says(store, dicom, tmp_path):
    dicom.make_series(tmp_path / "ct", n=1)
    path = tmp_path / "ct" / "000.dcm"
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"))  # big endian
    done = store(folder=tmp_path / "ct")
    assert done.exit_code == 1
    assert "000.dcm" in done.stderr
    assert "unexpected" not in done.stderr


def test_only_dicom_is_sent(fails, dimse, derived, dicom, tmp_path):
    mixed = tmp_path / "mixed"
    dicom.make_series(mixed, n=1)
    (mixed / "run.json").write_text("{}")
    with archive() as port:
        assert "run.json is not DICOM" in fails("send", "here", mixed, "--config", dimse(port))
        (mixed / "run.json").unlink()
        (mixed / "000.dcm").unlink()
        assert "is empty" in fails("send", "here", mixed, "--config", dimse(port))
        dicom.make_series(mixed, n=1, edit=lambda ds, z: delattr(ds, "StudyInstanceUID"))
        dataset = dcmread(mixed / "000.dcm")
        del dataset.SOPInstanceUID
        dataset.save_as(mixed / "000.dcm")
        assert "lacks a valid SOP class" in fails("send", "here", mixed, "--config", dimse(port))


def test_tls(fetching, cli, dimse, datasets, certificate, tmp_path):
    ours, theirs = certificate("ours"), certificate("theirs")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ours[0])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*theirs)
    key = f'certificate_file = "{ours[0]}"\nkey_file = "{ours[1]}"\n'
    ca = f'ca_file = "{theirs[0]}"\n'
    with archive(series_handlers(datasets), context=context) as port:
        config = dimse(port, f"[nodes.here.tls]\n{ca}{key}")
        study = datasets[0].StudyInstanceUID
        done = cli("fetch", "here", "--study", study, "-o", tmp_path / "good", "--config", config)
        assert done.exit_code == 0, done.output
        assert "1 series, 4 images" in done.stdout
        before = {dataset.SOPInstanceUID: dataset.pixel_array for dataset in datasets}
        for path in (tmp_path / "good").rglob("*.dcm"):
            assert np.array_equal(before.pop((dataset := dcmread(path)).SOPInstanceUID), dataset.pixel_array)
        assert not before

        assert "certificate that is not trusted" in fetching(dimse(port, f"[nodes.here.tls]\n{key}"))
        assert "not trusted" in fetching(dimse(port, f'[nodes.here.tls]\nca_file = "{ours[0]}"\n{key}'))
        assert "tls.certificate_file" in fetching(dimse(port, f"[nodes.here.tls]\n{ca}"))
        assert "it may want TLS" in fetching(dimse(port))
        line = fetching(dimse(port, f"[nodes.here.tls]\n{ca}{key}", host="localhost"))
        assert "not trusted" in line
        assert "mismatch" in line
        swapped = f'certificate_file = "{ours[1]}"\nkey_file = "{ours[0]}"\n'
        assert "are no certificate and its key" in fetching(dimse(port, f"[nodes.here.tls]\n{swapped}"))
    with archive() as port:
        assert "does not speak TLS with us" in fetching(dimse(port, f"[nodes.here.tls]\n{ca}"))
