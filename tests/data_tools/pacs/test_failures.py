"""Archives that misbehave: always one line, exit status 1, and nothing left behind."""

import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

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


@pytest.fixture
def config(tmp_path_factory):
    """Write a config file with the one node "here"."""
    folder = tmp_path_factory.mktemp("config")

    def write(text, **values):
        lines = [f"{key} = {value!r}".replace("'", '"') for key, value in values.items()]
        path = folder / "pacs.toml"
        path.write_text("\n".join(["[nodes.here]", *lines, text]))
        return path

    return write


@pytest.fixture
def dimse(config):
    def write(port, text="", host=LOCAL, **values):
        return config(text, type="dimse", host=host, port=port, ae_title="ARCHIVE", **values)

    return write


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


@pytest.fixture(scope="module")
def datasets(derived):
    return [dcmread(path) for path in sorted(derived.glob("*.dcm"))]


@pytest.fixture
def fetching(fails, tmp_path, datasets):
    """The line of a fetch that fails."""
    return lambda path: fails(
        "fetch", "here", "--study", datasets[0].StudyInstanceUID, "-o", tmp_path / "out", "--config", path
    )


def test_nobody_there(fetching, fails, dimse, config, derived, monkeypatch):
    with socket.socket() as closed:
        closed.bind((LOCAL, 0))
        port = closed.getsockname()[1]
        assert "cannot be reached (Connection refused)" in fetching(dimse(port))
        assert "cannot be reached" in fetching(config("", type="dicomweb", url=f"http://{LOCAL}:{port}"))
        assert "cannot be reached" in fails("send", "here", derived, "--config", dimse(port))
    assert "cannot be reached" in fetching(dimse(104, host="nowhere.invalid"))
    assert "cannot be reached" in fetching(config("", type="dicomweb", url="http://nowhere.invalid"))


def test_no_answer(fetching, dimse, config, monkeypatch):
    monkeypatch.setattr(ctresample.data_tools.pacs.association, "CONNECT_S", 0.2)
    with socket.socket() as silent:
        silent.bind((LOCAL, 0))
        silent.listen()
        port = silent.getsockname()[1]
        assert "does not answer our request" in fetching(dimse(port))
        slow = config("", type="dicomweb", url=f"http://{LOCAL}:{port}", timeout_s=0.2)
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


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Paths of a self-signed certificate for 127.0.0.1 and its key."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            + ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{LOCAL}"]
            + ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
            check=True,
            capture_output=True,
        )
        return folder / "cert.pem", folder / "key.pem"

    return make


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


# ---------------------------------------------------------------- DICOMweb


class Web(BaseHTTPRequestHandler):
    """Gives a prepared answer to a path that contains a word."""

    answers = ()  # (word in path, status, content type, body, bytes promised)

    def do_GET(self):
        for word, status, kind, body, promised in self.answers:
            if word in self.path:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if promised is not None:
                    self.send_header("Content-Length", str(promised))
                self.end_headers()
                self.wfile.write(body)
                return
        self.send_error(404)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def web(config):
    """A config file for a DICOMweb server with these answers."""
    servers = []

    def start(*answers, context=None, text="", **values):
        handler = type("Handler", (Web,), {"answers": answers})
        server = HTTPServer((LOCAL, 0), handler)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        scheme = "https" if context else "http"
        return config(text, type="dicomweb", url=f"{scheme}://{LOCAL}:{server.server_port}/web", **values)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(word, *datasets, status=200):
    body = f"[{','.join(dataset.to_json() for dataset in datasets)}]".encode()
    return word, status, "application/dicom+json", body, len(body)


def found(datasets):
    """Answers to the three searches, for one series."""
    study = Dataset()
    study.StudyInstanceUID = datasets[0].StudyInstanceUID
    series = Dataset()
    series.SeriesInstanceUID, series.NumberOfSeriesRelatedInstances = datasets[0].SeriesInstanceUID, len(datasets)
    images = []
    for dataset in datasets:
        images.append(Dataset())
        images[-1].SOPInstanceUID, images[-1].SOPClassUID = dataset.SOPInstanceUID, dataset.SOPClassUID
    return [answer("/instances?", *images), answer("/series?", series), answer("/studies?", study)]


def multipart(paths):
    parts = [b"--b\r\nContent-Type: application/dicom\r\n\r\n" + path.read_bytes() + b"\r\n" for path in paths]
    return b"".join(parts) + b"--b--\r\n"


RELATED = 'multipart/related; type="application/dicom"; boundary="b"'


def test_web_transfer(cli, fetching, web, datasets, derived, tmp_path):
    body = multipart(sorted(derived.glob("*.dcm")))
    good = web(*found(datasets), ("/series/", 200, RELATED, body, len(body)))
    done = cli("fetch", "here", "--study", datasets[0].StudyInstanceUID, "-o", tmp_path / "good", "--config", good)
    assert done.exit_code == 0, done.output
    for share in (0.625, 0.75 - 1e-3):  # in the header of the third image, in its pixels
        cut = body[: int(len(body) * share)]
        assert "mid-transfer" in fetching(web(*found(datasets), ("/series/", 200, RELATED, cut, len(body))))
        # without a length it is seen from the end of the last part, which is missing
        assert "mid-transfer" in fetching(web(*found(datasets), ("/series/", 200, RELATED, cut, None)))
    fewer = multipart(sorted(derived.glob("*.dcm"))[:3])
    line = fetching(web(*found(datasets), ("/series/", 200, RELATED, fewer, len(fewer))))
    assert "sent only 3 of the 4 images" in line


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"PLANTED^NAME", "failed (HTTP status 500)"),
        (401, b"", "refused the user or password"),
        (403, b"", "does not allow"),
        (200, b"<html>PLANTED^NAME</html>", "answered with something that is not DICOM"),
        (200, b'{"00100010": {"vr": "XX", "Value": ["PLANTED^NAME"]}}', "without a valid StudyInstanceUID"),
        (200, b'[{"0020000D": {"vr": "UI", "Value": ["../../x"]}}]', "without a valid StudyInstanceUID"),
        (200, b"[1, 2]", "not DICOM"),
    ],
)
def test_web_answers(fetching, web, datasets, status, body, message):
    nothing = [answer("/series?")]
    line = fetching(web(*nothing, ("/web", status, "application/dicom+json", body, len(body))))
    assert message in line
    assert "PLANTED" not in line


def test_web_store(cli, web, derived, monkeypatch):
    def sent(status, dataset):
        body = dataset.to_json().encode()
        config = web(("/web", status, "application/dicom+json", body, len(body)))
        done = cli("send", "here", derived, "--config", config)
        return done.exit_code, done.stdout

    stored, warned, failed, reason = Dataset(), Dataset(), Dataset(), Dataset()
    reason.FailureReason = 0xA900
    failed.FailedSOPSequence = [reason]
    stored.ReferencedSOPSequence = [Dataset()]
    note = Dataset()
    note.WarningReason = 0xB000
    warned.ReferencedSOPSequence = [note]
    assert sent(200, stored)[0] == 0
    code, said = sent(202, warned)
    assert (code, "4 with status 0xB000" in said) == (0, True)
    for status in (200, 202, 409):
        code, said = sent(status, failed)
        assert (code, "4 with status 0xA900" in said) == (1, True), status
    assert sent(200, Dataset())[0] == 1
    done = cli("send", "here", derived, "--config", web(("/web", 503, "text/plain", b"", 0)))
    assert done.exit_code == 1
    assert "HTTP status 503" in done.stderr.splitlines()[-1]


def test_web_tls(fetching, web, certificate, datasets):
    ours, theirs = certificate("ours"), certificate("theirs")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*theirs)
    trusting = web(context=context, text=f'[nodes.here.tls]\nca_file = "{theirs[0]}"')
    assert "no DICOMweb service at this address" in fetching(trusting)  # it got that far
    assert "not trusted" in fetching(web(context=context, text=f'[nodes.here.tls]\nca_file = "{ours[0]}"'))
    assert "not trusted" in fetching(web(context=context))
