"""An Orthanc server, archives of our own that misbehave, and a derived series to send."""

import json
import os
import shutil
import socket
import subprocess
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom_export.provenance import Provenance
from ctresample.data_tools.dicom_export.write import write_ct_series

ORTHANC = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "tester", "s3cret"
N_SLICES = 4


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory) -> SimpleNamespace:
    """A running Orthanc: its ports, and the one where it expects us for a C-MOVE."""
    if ORTHANC is None or not PLUGIN.is_file():
        pytest.skip("Orthanc or its DICOMweb plugin is not installed (Debian: orthanc orthanc-dicomweb)")
    folder = tmp_path_factory.mktemp("orthanc")
    dicom_port, http_port, own_port = free_port(), free_port(), free_port()
    allowed = {f"DicomAlwaysAllow{verb}": True for verb in ("Echo", "Store", "Find", "Get", "Move")}
    settings = allowed | {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": http_port,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomAet": "ORTHANC",
        "DicomPort": dicom_port,
        "DicomCheckCalledAet": True,
        "DicomModalities": {"ctresample": ["CTRESAMPLE", "127.0.0.1", own_port]},
        "OverwriteInstances": True,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    url = f"http://127.0.0.1:{http_port}"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            wait_for(http_port)
            yield SimpleNamespace(dicom_port=dicom_port, url=url, own_port=own_port)
        finally:
            server.kill()  # asked to stop, it takes seconds
            server.wait(timeout=30)


def wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def config(tmp_path_factory, orthanc) -> Path:
    """A config file with Orthanc in every way it can be spoken to."""
    dimse = f'type = "dimse"\nhost = "127.0.0.1"\nport = {orthanc.dicom_port}\nae_title = "ORTHANC"\n'
    web = f'type = "dicomweb"\nurl = "{orthanc.url}/dicom-web"\nuser = "{USER}"\npassword = "{PASSWORD}"\n'
    path = tmp_path_factory.mktemp("config") / "pacs.toml"
    move = f'retrieve = "move"\nown_port = {orthanc.own_port}\n'
    path.write_text(f"[nodes.get]\n{dimse}[nodes.move]\n{dimse}{move}[nodes.web]\n{web}")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def derived(tmp_path_factory, dicom) -> Path:
    """A derived series as ctresample writes it."""
    source = tmp_path_factory.mktemp("source")
    dicom.make_series(source / "ct", n=N_SLICES)
    run = Provenance("0.1.0", "FBP, 25 views", {"n_views": 25}, seed=7, created=datetime(2026, 11, 23, 9, 8, 7))
    write_ct_series(read_ct_series(source / "ct"), source / "derived", description="FBP, 25 views", provenance=run)
    return source / "derived"


@pytest.fixture(scope="session")
def cli():
    """Run the command line in this process: ``cli("fetch", node)``."""
    from ctresample.cli import app

    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def fails(cli, tmp_path):
    """Run a command that must fail well, at ``tmp_path``; returns its one line."""

    def run(*words, status=1):
        before = sorted(tmp_path.rglob("*"))
        done = cli(*words)
        assert done.exit_code == status, done.output
        *rest, line = done.stderr.splitlines()
        assert line.startswith("ctresample: error: ")
        assert "unexpected" not in line
        assert not any("error" in other or "Traceback" in other for other in rest), rest
        assert sorted(tmp_path.rglob("*")) == before
        return line

    return run


@pytest.fixture
def one_node(tmp_path_factory):
    """Write a config file with the one node "here"."""
    folder = tmp_path_factory.mktemp("config")

    def write(text, **values):
        lines = [f"{key} = {value!r}".replace("'", '"') for key, value in values.items()]
        path = folder / "pacs.toml"
        path.write_text("\n".join(["[nodes.here]", *lines, text]))
        return path

    return write


@pytest.fixture
def dimse(one_node):
    def write(port, text="", host="127.0.0.1", **values):
        return one_node(text, type="dimse", host=host, port=port, ae_title="ARCHIVE", **values)

    return write


@pytest.fixture(scope="module")
def datasets(derived):
    return [dcmread(path) for path in sorted(derived.glob("*.dcm"))]


@pytest.fixture
def fetching(fails, tmp_path, datasets):
    """The line of a fetch that fails."""
    return lambda path: fails(
        "fetch", "here", "--study", datasets[0].StudyInstanceUID, "-o", tmp_path / "out", "--config", path
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Paths of a self-signed certificate for 127.0.0.1 and its key."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            + ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
            + ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
            check=True,
            capture_output=True,
        )
        return folder / "cert.pem", folder / "key.pem"

    return make
