"""Files that once made a loader hang, fail without a word of ours, or ask for memory without end."""

import struct
import time
import zlib

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.series import load_series
from ctresample.data_tools.dicom_export.provenance import Provenance
from ctresample.data_tools.dicom_export.write import write_ct_series
from ctresample.errors import DicomError
from ctresample.volume import Volume


def test_bytes_behind_deflated_elements(dicom, tmp_path):
    def deflate(ds, z):
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    hu = dicom.make_series(tmp_path, n=1, edit=deflate)
    path = tmp_path / "000.dcm"
    path.write_bytes(path.read_bytes() + bytes(1000))
    found = find_series(tmp_path)
    assert np.array_equal(load_series(found.series[0]).hu, hu)


def test_deflated_elements_by_the_million(dicom, tmp_path):
    def deflate(ds, z):
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    dicom.make_series(tmp_path, n=1, edit=deflate)
    path = tmp_path / "000.dcm"
    sound = path.read_bytes()
    start = 144 + int.from_bytes(sound[140:144], "little")
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    empty = struct.pack("<HH2sH", 8, 5, b"CS", 0) * 2**22
    path.write_bytes(sound[:start] + squeeze.compress(empty) + squeeze.flush())
    began = time.process_time()
    found = find_series(tmp_path)
    assert "elements" in found.damaged[0]
    assert time.process_time() - began < 3


def test_text_in_place_of_a_number(tmp_path):
    header = {"0020000D": {"vr": "UI", "Value": ["1.2"]}, "00180050": {"vr": "CS", "Value": ["CT"]}}
    header |= {"0020000E": {"vr": "UI", "Value": ["1.3"]}, "00080018": {"vr": "UI", "Value": ["1.4"]}}
    volume = Volume(np.zeros((1, 4, 4), np.float32), np.eye(4), (header,))
    (path,) = write_ct_series(volume, tmp_path / "out", description="x", provenance=Provenance("0.1.0", "x"))
    assert dcmread(path).SliceThickness is None


def test_positions_that_make_an_endless_tilt(dicom, tmp_path):
    def shift(ds, z):
        ds.ImagePositionPatient = [str(4e4 * z), str(4e4 * z), str(2.5 * z)]

    dicom.make_series(tmp_path, n=3, edit=shift)
    with pytest.raises(DicomError, match="too much to be a tilted gantry"):
        load_series(find_series(tmp_path).series[0], resample_tilt=True)


@pytest.mark.parametrize("entry", [{"vr": "US", "Value": [4]}, {"vr": "UI", "Value": ["1.2", "1.3"]}])
def test_header_with_uids_of_another_kind(tmp_path, entry):
    header = {"0020000D": {"vr": "UI", "Value": ["1.2"]}, "0020000E": entry}
    volume = Volume(np.zeros((1, 4, 4), np.float32), np.eye(4), (header,))
    with pytest.raises(DicomError, match="UIDs that are not one text each"):
        write_ct_series(volume, tmp_path / "out", description="x", provenance=Provenance("0.1.0", "x"))
