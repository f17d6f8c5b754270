"""A training tells of each validation, and of itself at least every half minute."""

from ctresample.pipelines.training import progress


def test_lines(monkeypatch):
    now, lines = [0.0], []
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    on_step = progress.progress_printer(100, lines.append)
    for step in range(1, 9):
        now[0] += 10.0
        on_step(step, 0.5, {"rmse_hu": 40.0} if step == 4 else None)
    assert [line.split("  ")[:3] for line in lines] == [
        ["step 3/100", "train 0.5", "16 min left"],
        ["step 4/100", "train 0.5", "rmse_hu 40"],
        ["step 7/100", "train 0.5", "16 min left"],
    ]
