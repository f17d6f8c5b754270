"""Pictures and curves of a run."""

import numpy as np

import ctresample.pipelines.training.curves as curves_module
from ctresample.pipelines.training.curves import CURVES, TENSORBOARD, Curves
from ctresample.pipelines.training.pictures import reconstructions, sample_grid


def test_reconstructions_show_truth_result_and_difference():
    truth = np.full((2, 4, 5), 40.0)
    seen = truth.copy()
    seen[1, 2, 3] = 240
    picture = reconstructions(truth, seen)
    assert picture.shape == (2 * 4, 3 * 5)
    assert set(picture[:4, :10].ravel()) == {128}  # 40 HU is the middle of the window
    assert set(picture[:4, 10:].ravel()) == {128}  # no difference is grey
    assert picture[4 + 2, 5 + 3] == 255
    assert picture[4 + 2, 10 + 3] == 255
    assert picture[4 + 2, 3] == 128


def test_sample_grid_is_a_square():
    picture = sample_grid(np.stack([np.full((4, 4), hu) for hu in (-1000.0, 40.0, 3000.0)]))
    assert picture.shape == (8, 8)
    assert (picture[0, 0], picture[0, 4], picture[4, 0], picture[4, 4]) == (0, 128, 255, 0)


def test_curves_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setattr(curves_module, "find_spec", lambda name: None)
    curves = Curves(tmp_path, [{"step": 1, "loss": 0.5}])
    curves.add({"step": 2, "loss": 0.25})
    curves.write()
    curves.close()
    assert (tmp_path / CURVES).read_text() == "step,loss\n1,0.5\n2,0.25\n"
    assert not (tmp_path / TENSORBOARD).exists()


def test_tensorboard_shows_each_step_once_after_a_resume(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = Curves(tmp_path, [])
    for step in (1, 2, 3):
        first.add({"step": step, "loss": 1.0 / step})
    first.close()
    resumed = Curves(tmp_path, [{"step": 1, "loss": 1.0}])  # the last checkpoint was that of step 1
    resumed.add({"step": 2, "loss": 0.5})
    resumed.picture("samples", np.zeros((4, 4), np.uint8), 2)
    resumed.close()
    events = EventAccumulator(str(tmp_path / TENSORBOARD)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2]
    assert [event.step for event in events.Images("samples")] == [2]
