"""What the card says, from figures made up for the purpose; and the logs it draws."""

import json
import math
from dataclasses import replace

import pytest

from ctresample.errors import UsageError
from ctresample.finite_json import finite
from ctresample.pipelines.model_card.autoencoder import AutoencoderErrors
from ctresample.pipelines.model_card.card import Card, Sampling, Slices
from ctresample.pipelines.model_card.checkerboard import Checkerboard
from ctresample.pipelines.model_card.curves import read_curve
from ctresample.pipelines.model_card.denoising import DenoisingErrors, Level
from ctresample.pipelines.model_card.memorisation import Memorisation
from ctresample.pipelines.model_card.nearest import Nearest
from ctresample.pipelines.model_card.parts import Anatomy, Part
from ctresample.pipelines.model_card.pictures import curves_png
from ctresample.pipelines.model_card.tissues import REGIONS, RegionError
from ctresample.pipelines.model_card.write import figures, render


def card(distance=0.5, trained_on_these=True) -> Card:
    schedule = {"num_train_timesteps": 1000, "beta_schedule": "linear", "beta_start": 0.1, "beta_end": 0.2}
    schedule["noise_over_signal_at_the_end"] = 999.6
    parts = (Part("autoencoder", "VQModel", (8,), 1_250_000, 2.5),)
    provenance = {"licence": "CC BY | 4.0\nand more"}
    return Card(
        version="1.2.3",
        anatomy=Anatomy("toy", parts, (-1000, 2000), 64, 1, (4, 16, 16), schedule | {"prediction_type": "epsilon"},
                        "abc", provenance),
        slices=(Slices("training", 9, 3, "d0"), Slices("validation", 2, 1, "d1")),
        trained_on_these=trained_on_these,
        autoencoder=(AutoencoderErrors("validation", 64, 2, 1, tuple(
            RegionError(r, 0.2, 12.34, -0.01, math.nan) for r in REGIONS), Checkerboard(4, (0.5, 0.5), 7.5, 0.25)),),
        denoising=(DenoisingErrors("toy", "epsilon", (Level(0.1, 90.0, 0.5), Level(0.9, 20.0, 0.1))),),
        curves=(),
        sampling=Sampling(1, 50, 0),
        memorisation=Memorisation((Nearest(distance, 0, 0, ((1, 0, 0), (0, 1, 0))),), (0.3,), (0.1,)),
    )  # fmt: skip


def test_tables_are_whole():
    lines = render(card(), "## Limits\n\nMine.", "validation").splitlines()
    for before, line in zip(lines, lines[1:], strict=False):
        if line.startswith("|") and before.startswith("|"):
            assert line.replace("\\|", "").count("|") == before.replace("\\|", "").count("|")
        elif line.startswith("|"):
            assert before == ""  # else it would be no table
    assert "| validation | 64: RMSE |" + " 12.3 ± – |" * len(REGIONS) in lines
    assert "| | bias |" + " 0.0 |" * len(REGIONS) in lines
    assert "## Limits" in lines
    assert "Mine." in lines


def test_coarse_denoiser_is_told_where_there_is_one():
    without = card()
    assert "to 1000 times more noise than signal" in render(without, "", "validation")
    assert "coarse" not in render(without, "", "validation")
    with_one = replace(without, anatomy=replace(without.anatomy, coarse_from_step=700))
    text = render(with_one, "", "validation")
    assert "from step 700 on evenly to 1000 times more noise than signal |\n| steps of the coarse" in text
    assert "| 700 to 999: it sees averages" in text


def test_no_words_of_the_author_are_invented():
    assert "Not stated by the author" in render(card(), "", "validation")


@pytest.mark.parametrize(("distance", "said"), [(0.05, "**1 of 1 samples are as near"), (0.5, "No sample is as near")])
def test_verdict_on_copies(distance, said):
    assert said in render(card(distance), "", "validation")


@pytest.mark.parametrize(
    ("known", "said"), [(True, "is the one whose digest"), (False, "another digest"), (None, "records no digest")]
)
def test_whether_these_are_the_training_slices(known, said):
    assert said in render(card(trained_on_these=known), "", "validation")


def test_figures_are_strict_json():
    text = json.dumps(finite(figures(card())), allow_nan=False)
    assert json.loads(text)["conclusions"]["near_copies"] == []
    assert json.loads(text)["autoencoder"][0]["regions"][0]["rmse_hu"] == 12.34


def test_curve_with_gaps(tmp_path):
    (tmp_path / "curves.csv").write_text("step,learning_rate,train_loss,rmse_hu\n1,0.1,2.5,\n2,0.1,2.0,31\n")
    curve = read_curve(tmp_path)
    assert curve.steps == (1, 2)
    assert curve.figures["train_loss"] == (2.5, 2.0)
    assert math.isnan(curve.figures["rmse_hu"][0])
    assert curves_png([curve]).startswith(b"\x89PNG")


@pytest.mark.parametrize("text", [None, "", "step,loss\n", "a,b\n1,2\n", "step,loss\nx,1\n", "step,loss\n1,x\n"])
def test_bad_log(tmp_path, text):
    if text is not None:
        (tmp_path / "log.csv").write_text(text)
    with pytest.raises(UsageError, match=r"(curves|log)\.csv"):
        read_curve(tmp_path)
