"""An archive under load: Orthanc takes many images and gives them back in every way, with kills, and over TLS.

Run: python benchmarks/pacs/orthanc_load.py [--images 1000] [--kills 10]     (exit status 1 where anything differs)
Needs Debian's orthanc and orthanc-dicomweb, and openssl. Images are sent while the sender is killed at random moments
and begun anew, then fetched by C-GET, C-MOVE and DICOMweb, likewise. In the end each must be there once, bit for bit
what it was; a killed fetch may leave nothing that looks like a result. Then the same archive with TLS: both ways of
DICOM networking, and certificates that must not be trusted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ORTHANC = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
COMMAND = str(Path(sys.executable).with_name("ctresample"))
LOCAL, PER_SERIES, SIZE = "127.0.0.1", 50, 128


def make_images(folder: Path, n: int) -> None:
    """Series of `PER_SERIES` images each, of one study."""
    draw = np.random.default_rng(0)
    for number in range(n):
        series, z = divmod(number, PER_SERIES)
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"1.2.3.{series + 1}.{z + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = "1.2.3", f"1.2.3.{series + 1}", "CT"
        ds.PatientID, ds.PatientName, ds.StudyID = "load", "Load^Test", "1"
        ds.SeriesNumber, ds.InstanceNumber = series + 1, z + 1
        ds.Rows = ds.Columns = SIZE
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.PixelData = draw.integers(-1000, 2000, (SIZE, SIZE)).astype("<i2").tobytes()
        ds.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)


def pixels_of(folder: Path) -> dict[str, bytes]:
    """Pixel data by SOPInstanceUID; an image that is there twice ends it."""
    found: dict[str, bytes] = {}
    for path in folder.rglob("*.dcm"):
        ds = dcmread(path)
        assert ds.SOPInstanceUID not in found, f"{ds.SOPInstanceUID} is there twice"
        found[ds.SOPInstanceUID] = ds.PixelData
    return found


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


@contextmanager
def orthanc(folder: Path, own_port: int, **more: Any) -> Iterator[tuple[int, int]]:
    """A running one: its ports for DICOM and HTTP."""
    dicom, http = free_port(), free_port()
    folder.mkdir()
    settings = {f"DicomAlwaysAllow{verb}": True for verb in ("Echo", "Store", "Find", "Get", "Move")} | {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [PLUGIN],
        "HttpPort": http,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": dicom,
        "DicomModalities": {"us": ["CTRESAMPLE", LOCAL, own_port]},
        "OverwriteInstances": True,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings | more))
    assert ORTHANC, "Orthanc is not installed"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            for port in (dicom, http):
                _wait_for(port)
            yield dicom, http
        finally:
            server.kill()
            server.wait()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((LOCAL, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.05)
        else:
            return


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


def killed(draw: random.Random, lasts_s: float, *words: object) -> bool:
    """Begin a command and kill it at a random moment; whether it still ran."""
    process = subprocess.Popen(
        [COMMAND, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(draw.uniform(0.2, 1.0) * lasts_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed one for this machine, and its key."""
    place = folder / name
    place.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{LOCAL}"]
        + ["-keyout", place / "key.pem", "-out", place / "cert.pem"],
        check=True,
        capture_output=True,
    )
    return place / "cert.pem", place / "key.pem"


def plain(place: Path, expected: dict[str, bytes], n_kills: int, draw: random.Random) -> None:
    """Without TLS: send and fetch, with kills."""
    own = free_port()
    with orthanc(place / "orthanc", own) as (dicom, http):
        node = f'type = "dimse"\nhost = "{LOCAL}"\nport = {dicom}\nae_title = "ORTHANC"\n'
        config = place / "pacs.toml"
        config.write_text(
            f'[nodes.get]\n{node}[nodes.move]\n{node}retrieve = "move"\nown_port = {own}\n'
            f'[nodes.web]\ntype = "dicomweb"\nurl = "http://{LOCAL}:{http}/dicom-web"\n'
        )
        send = ("send", "get", place / "images", "--config", config)
        hits = sum(killed(draw, 8.0, *send) for _ in range(n_kills))
        began = time.monotonic()
        done = run(*send)
        assert done.returncode == 0, done.stderr
        with urlopen(f"http://{LOCAL}:{http}/statistics") as answer:
            n = int(json.load(answer)["CountInstances"])
        assert n == len(expected), f"the archive has {n} images"
        print(f"sent {n} images in {time.monotonic() - began:.1f} s, after {hits} kills of {n_kills}: each there once")
        for way in ("get", "move", "web"):
            fetch = ("fetch", way, "--study", "1.2.3", "-o", place / "out", "--config", config)
            began = time.monotonic()
            done = run(*fetch)
            lasts_s = time.monotonic() - began
            assert done.returncode == 0, done.stderr
            assert pixels_of(place / "out") == expected
            hits = 0
            for _ in range(n_kills):
                shutil.rmtree(place / "out", ignore_errors=True)
                was_killed = killed(draw, lasts_s, *fetch)
                hits += was_killed
                assert not was_killed or not (place / "out").exists() or pixels_of(place / "out") == expected
            shutil.rmtree(place / "out", ignore_errors=True)
            done = run(*fetch)
            assert done.returncode == 0, done.stderr
            assert pixels_of(place / "out") == expected
            left = [path.name for path in place.glob(".ctresample-*")]
            assert not left, left
            shutil.rmtree(place / "out")
            print(
                f"{way}: {len(expected)} images in {lasts_s:.1f} s; after {hits} kills of {n_kills} equal, none twice"
            )


def encrypted(place: Path, expected: dict[str, bytes]) -> None:
    """With TLS on both sides, and with certificates that nobody trusts."""
    ours, theirs, strange = (certificate(place, name) for name in ("ours", "theirs", "strange"))
    own = free_port()
    tls = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(theirs[0]),
        "DicomTlsPrivateKey": str(theirs[1]),
        "DicomTlsTrustedCertificates": str(ours[0]),
        "DicomModalities": {"us": {"AET": "CTRESAMPLE", "Host": LOCAL, "Port": own, "UseDicomTls": True}},
    }
    with orthanc(place / "orthanc-tls", own, **tls) as (dicom, _):
        config = place / "tls.toml"

        def nodes(ca: Path, pair: tuple[Path, Path]) -> Path:
            text = ""
            for way in ("get", "move"):
                text += f'[nodes.{way}]\ntype = "dimse"\nhost = "{LOCAL}"\nport = {dicom}\nae_title = "ORTHANC"\n'
                text += f'retrieve = "move"\nown_port = {own}\n' * (way == "move")
                text += f'[nodes.{way}.tls]\nca_file = "{ca}"\n'
                text += f'certificate_file = "{pair[0]}"\nkey_file = "{pair[1]}"\n'
            config.write_text(text)
            return config

        done = run("send", "get", place / "images", "--config", nodes(theirs[0], ours))
        assert done.returncode == 0, done.stderr
        for way in ("get", "move"):
            done = run("fetch", way, "--study", "1.2.3", "-o", place / "out", "--config", config)
            assert done.returncode == 0, done.stderr
            assert pixels_of(place / "out") == expected
            shutil.rmtree(place / "out")
            print(f"TLS, {way}: equal")
        for what, ca, pair in (("its", strange[0], ours), ("our", theirs[0], strange)):
            done = run("fetch", "get", "--study", "1.2.3", "-o", place / "out", "--config", nodes(ca, pair))
            lines = done.stderr.splitlines()
            assert done.returncode == 1, done.stderr
            assert lines[-1].startswith("ctresample: error: "), done.stderr
            assert "unexpected" not in lines[-1]
            assert not (place / "out").exists()
            print(f"TLS, {what} certificate is not trusted: {lines[-1]}")


def main() -> None:
    """Print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    draw = random.Random(wanted.seed)  # noqa: S311 (moments, no secrets)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "images").mkdir()
        make_images(place / "images", wanted.images)
        expected = pixels_of(place / "images")
        plain(place, expected, wanted.kills, draw)
        encrypted(place, expected)


if __name__ == "__main__":
    main()
