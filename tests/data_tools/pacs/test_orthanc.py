"""Against a real archive: what is sent comes back, by every way."""

import shutil

import numpy as np
import pytest
from pydicom import dcmread

WAYS = ("get", "move", "web")
GROUPS_OF_A_FILE = (0x0002,)


def uids(folder):
    first = dcmread(sorted(folder.glob("*.dcm"))[0])
    return first.StudyInstanceUID, first.SeriesInstanceUID


def by_uid(folder):
    return {(dataset := dcmread(path)).SOPInstanceUID: dataset for path in folder.rglob("*.dcm")}


@pytest.fixture(scope="module")
def sent(cli, config, derived):
    """The derived series in the archive."""
    done = cli("send", "get", derived, "--config", config)
    assert done.exit_code == 0, done.output
    assert "has 4 of 4 files" in done.stdout
    return derived


@pytest.mark.parametrize("way", WAYS)
def test_what_is_sent_comes_back(cli, config, sent, tmp_path, way):
    study, series = uids(sent)
    done = cli("fetch", way, "-o", tmp_path / "out", "--study", study, "--series", series, "--config", config)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.dcm")) == [f"000{n}.dcm" for n in range(1, 5)]
    before, after = by_uid(sent), by_uid(tmp_path / "out")
    assert before.keys() == after.keys()
    for uid, dataset in before.items():
        assert after[uid].file_meta.TransferSyntaxUID == dataset.file_meta.TransferSyntaxUID
        assert after[uid] == dataset  # every element
        assert np.array_equal(after[uid].pixel_array, dataset.pixel_array)
