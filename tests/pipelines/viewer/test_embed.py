"""What a page embeds: the program is short, and the scene's text is data and no markup."""

from __future__ import annotations

import json
import re

import numpy as np

from ctresample.pipelines.viewer.embed import embed, script
from ctresample.pipelines.viewer.scene import Layer, Scene


def test_no_more_than_300_lines_of_our_own_javascript() -> None:
    assert len(script().splitlines()) <= 300


def test_a_difference_has_full_colour_at_its_own_size() -> None:
    truth = np.zeros((1, 20, 20))
    fbp, tv = truth + 150.0, truth + 4.0
    fbp[0, 0, 0] = 9000.0  # one bad pixel does not fade the rest
    html = embed(
        Scene([Layer("Truth", truth, "truth"), Layer("fbp", fbp, "image"), Layer("tv", tv, "image")], ["1"])
    ).html
    found = re.search(r'data-part="scene">(.*?)</script>', html)
    assert found is not None
    shown = json.loads(found[1])["layers"]
    assert [layer.get("full_hu") for layer in shown] == [None, 200.0, 5.0]


def test_a_name_cannot_end_the_data() -> None:
    html = embed(Scene([Layer("</script><script>alert(1)", np.zeros((1, 4, 4)), "image")], ["<!--"])).html
    assert html.count("</script>") == 2  # of the scene and of the values
    assert "<!--" not in html
