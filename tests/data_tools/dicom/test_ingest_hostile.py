"""The acceptance list "Ingest", items 10 to 12: hostile files, and what must not be told."""

import json
import logging
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)
from typer.testing import CliRunner

from ctresample.cli import app
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom_export.write import Provenance, write_ct_series
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.pipelines.scan.simulate import simulate

from .edits import retag


def deflated_bomb(path, dicom):
    dicom.make_series(path.parent, n=1, edit=retag(DeflatedExplicitVRLittleEndian), name=lambda z: path.name)
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    plain = zlib.decompress(content[start:], -zlib.MAX_WBITS)
    deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [content[:start], deflater.compress(plain)]
    parts += [deflater.compress(bytes(1 << 20)) for _ in range(1200)]
    path.write_bytes(b"".join([*parts, deflater.flush()]))


def edited(path, dicom, change):
    dicom.make_series(path.parent, n=1, shape=(64, 64), edit=lambda ds, z: change(ds), name=lambda z: path.name)


def rle_lie(side):
    def change(ds):
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.Rows = ds.Columns = side

    return change


def codestream_lie(ds):
    """A JPEG 2000 stream that states 60000 x 60000 pixels, under a header that tells the truth."""
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    at = ds.PixelData.find(b"\xff\x4f\xff\x51") + 8
    ds.PixelData = ds.PixelData[:at] + (60000).to_bytes(4) * 2 + ds.PixelData[at + 8 :]
    ds["PixelData"].is_undefined_length = True


def frames_lie(ds):
    ds.NumberOfFrames = 2_000_000


HOSTILE = {
    "truncated": lambda path, dicom: (edited(path, dicom, lambda ds: None), path.write_bytes(path.read_bytes()[:-50])),
    "empty": lambda path, dicom: path.touch(),
    "text": lambda path, dicom: path.write_text("hello " * 99),
    "no-pixels": lambda path, dicom: edited(path, dicom, lambda ds: delattr(ds, "PixelData")),
    "65535": lambda path, dicom: edited(
        path, dicom, lambda ds: (setattr(ds, "Rows", 65535), setattr(ds, "Columns", 65535))
    ),
    "deflated": deflated_bomb,
    "rle-40000": lambda path, dicom: edited(path, dicom, rle_lie(40000)),
    "rle-4096": lambda path, dicom: edited(path, dicom, rle_lie(4096)),
    "jpeg-2000": lambda path, dicom: edited(path, dicom, codestream_lie),
    "frames": lambda path, dicom: edited(path, dicom, frames_lie),
}


RUN_ALL = """
import json, sys
from pathlib import Path
from typer.testing import CliRunner
from ctresample.cli import app

done = {}
for place in sys.argv[2:]:
    result = CliRunner().invoke(app, ["simulate", place, "-o", sys.argv[1], "--views", "4", "--size", "16"])
    done[place] = [result.exit_code, result.stderr]
# not getrusage, which counts what the process that started this one had
status = Path("/proc/self/status").read_text().splitlines()
print(json.dumps([done, next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))]))
"""


def test_10_hostile_files_end_in_one_line_and_little_memory(tmp_path, dicom):
    """All in one process, whose peak bounds that of each."""
    places = []
    for name, build in HOSTILE.items():
        (tmp_path / name).mkdir()
        build(tmp_path / name / "file", dicom)
        places += [tmp_path / name, tmp_path / name / "file"]
    out = tmp_path / "scan.h5"
    run = subprocess.run([sys.executable, "-c", RUN_ALL, out, *places], capture_output=True, text=True, check=True)
    done, peak_kib = json.loads(run.stdout)
    assert run.stderr == ""
    for place, (code, told) in done.items():
        lines = [line for line in told.splitlines() if not line.startswith("reading the series")]
        assert code == 1, place
        assert len(lines) == 1, told
        assert lines[0].startswith(f"ctresample: error: {place}"), told
    assert not out.exists()
    assert peak_kib * 1024 < 1e9


PLANTED = "PLANTED"


def test_11_nothing_tells_the_patient(tmp_path, dicom, capfd, caplog):
    """Neither names nor dates reach stdout, stderr, logs or file names, though pydicom quotes odd values."""

    folder = tmp_path / "in"

    def edit(ds, z):
        ds.PatientName, ds.PatientID, ds.OperatorsName = f"{PLANTED}^NAME", f"{PLANTED}-ID", f"{PLANTED}^OP"
        ds.SeriesDescription = ds.StudyDescription = ds.InstitutionName = f"{PLANTED} CLINIC"
        ds.PatientBirthDate, ds.AccessionNumber = "19331122", "19331122"
        ds.add_new("StudyDate", "LO", f"{PLANTED}19331122")
        ds.add_new("SliceThickness", "LO", PLANTED)
        if z == 3:
            ds.add_new("PixelSpacing", "LO", PLANTED)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dicom.make_series(folder, edit=edit)
        for path in folder.iterdir():  # as implicit VR they take their own VR again
            ds = dcmread(path)
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            ds.save_as(path, enforce_file_format=True)
    capfd.readouterr()
    caplog.clear()
    told = []
    commands = (
        ["info", folder],
        ["simulate", folder, "-o", tmp_path / "out.h5", "--views", 4, "--size", 16, "--debug"],
    )
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for wanted in (1, 0):
            for words in commands:
                done = CliRunner().invoke(app, [str(word) for word in words])
                told += [done.output, done.stderr]
            assert done.exit_code == wanted
            (folder / "003.dcm").unlink(missing_ok=True)  # now the series can be read, if for its gap
            (folder / "004.dcm").unlink(missing_ok=True)
    told += [*capfd.readouterr(), caplog.text, *(str(warning.message) for warning in caught)]
    told += [str(path) for path in tmp_path.rglob("*")]
    assert PLANTED not in " ".join(told)
    assert "19331122" not in " ".join(told)


def test_12_a_uid_that_is_a_path_goes_nowhere(tmp_path, dicom):
    evil = "../../x"

    folder = tmp_path / "a" / "b" / "in"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dicom.make_series(folder, edit=lambda ds, z: setattr(ds, "SOPInstanceUID", f"{evil}{z}"))
    before = set(tmp_path.rglob("*"))
    volume = read_ct_series(folder)
    write_sinogram(simulate(volume, n_views=4, size=16), tmp_path / "a" / "b" / "out.h5")
    paths = write_ct_series(volume, tmp_path / "a" / "b" / "out", description="t", provenance=Provenance("1", "t"))
    new = set(tmp_path.rglob("*")) - before
    assert new == {tmp_path / "a" / "b" / "out.h5", tmp_path / "a" / "b" / "out", *paths}
    assert [path.name for path in paths] == [f"{z + 1:04d}.dcm" for z in range(5)]
    assert not list(Path(tmp_path.parent).glob("x*"))
