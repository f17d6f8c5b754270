"""What no machine can hold is refused before anything is computed."""

import pytest

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid, VolumeGrid
from ctresample.pipelines.reconstruction import room


def test_images_that_do_not_fit(monkeypatch):
    monkeypatch.setattr(room, "memory_bytes", lambda: 16e9)
    room.check_room(ImageGrid((4096, 4096), 0.1))
    with pytest.raises(UsageError, match="32768 x 32768 takes over 34 GB to reconstruct, and this machine has 16 GB"):
        room.check_room(ImageGrid((32768, 32768), 0.1))
    with pytest.raises(UsageError, match="2000 x 1024 x 1024 takes over 67 GB"):
        room.check_room(VolumeGrid((2000, 1024, 1024), 0.1, 0.1))


def test_this_machine_has_memory():
    assert room.memory_bytes() > 1e8
