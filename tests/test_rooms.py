"""What is decided in one place stays there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
KINDS = "ParallelBeam|FanBeam|ConeBeam|DivergingBeam|ImageGrid|VolumeGrid"


def test_few_ask_which_beam_it_is():
    """Elsewhere than in their own folders the beams and grids are asked for what they know."""
    own = {ROOT / "ctresample" / name for name in ("geometry", "operators", "pipelines", "data_tools")}
    asked = {}
    for top in ("ctresample", "pipelines", "data_tools", "benchmarks"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if not own & set(path.parents):
                found = re.findall(rf"isinstance\([^)]*\b(?:{KINDS})\b", path.read_text(encoding="utf-8"))
                asked[path.relative_to(ROOT)] = len(found)
    assert len(asked) > 100
    assert sum(asked.values()) <= 10, {path: n for path, n in asked.items() if n}
