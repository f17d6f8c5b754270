"""DICOMweb servers that misbehave: always one line, exit status 1, and nothing left behind."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydicom import Dataset

LOCAL = "127.0.0.1"


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
def web(one_node):
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
        return one_node(text, type="dicomweb", url=f"{scheme}://{LOCAL}:{server.server_port}/web", **values)

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
