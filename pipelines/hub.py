"""Priors on the Hugging Face hub: the layout and the card that it expects, and a way there.

Up only, and only when asked: nothing of ctresample downloads. What `hf download OWNER/NAME` has fetched is found by its
name, see `ctresample.learned.folders`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctresample.bounded_files import read_json
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import OutputError, PriorError, UsageError
from ctresample.learned.folders import HUB_NAME, find_prior
from ctresample.learned.prior_config import CONFIG_NAME, PriorConfig
from ctresample.paths import StrPath

CARD = "README.md"
INDEX = "model_index.json"
SUFFIXES = frozenset({".json", ".md", ".png", ".safetensors"})
"""Of what is pushed: weights, configs, card and its pictures; no checkpoints, no logs."""

_TAGS = ["computed-tomography", "ct", "medical-imaging", "diffusion", "inverse-problems", "sparse-view", "ctresample"]


def front_matter(config: PriorConfig) -> str:
    """What the hub reads of a card, as YAML between dashes; the licence is that of the training data, by its words."""
    from huggingface_hub import ModelCardData

    about = ModelCardData(
        library_name="ctresample",
        license="other",  # of data, mostly several, which the hub's own names do not tell
        license_name=one_line(str(config.provenance.get("licence", "not stated")), 200),
        model_name=config.name,
        tags=_TAGS,
    )
    return f"---\n{about.to_yaml()}\n---\n"


def with_front_matter(card: str, config: PriorConfig) -> str:
    """A card that begins with it; one that has its own stays as it is."""
    return card if card.startswith("---\n") else f"{front_matter(config)}\n{card}"


def hub_folder(prior: StrPath, out: Path) -> list[str]:
    """Fill a folder as the hub expects it: that of a diffusers pipeline, with a card.

    Args:
        prior: folder of a prior, or a bundled one's name.
        out: an empty folder.

    Returns:
        The files, seen from ``out``.

    Raises:
        PriorError: no prior, or one without a card or a stated licence.
    """
    folder = find_prior(prior)
    config = PriorConfig.load(folder)
    if not (folder / CARD).is_file():
        raise PriorError(
            f"{folder} has no {CARD}; write its model card first: ctresample prior card {prior} -o CARD_DIR ..., and "
            "copy what is in CARD_DIR there"
        )
    if not config.provenance.get("licence"):
        raise PriorError(
            f"{folder / CONFIG_NAME} states no licence of the training data; expected provenance.licence, as training "
            "on shards of `ctresample dataset --licence` writes it"
        )
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in SUFFIXES:
            place = out / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    card = (folder / CARD).read_text(encoding="utf-8")
    (out / CARD).write_text(with_front_matter(card, config), encoding="utf-8")
    if not (out / INDEX).is_file():
        (out / INDEX).write_text(json.dumps(_index(folder), indent=1) + "\n", encoding="utf-8")
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def push(
    prior: StrPath,
    repository: str,
    *,
    private: bool = False,
    dry_run: bool = False,
    api: Any = None,
    on_progress: Callable[[float, str], None] | None = None,
) -> tuple[list[str], str]:
    """Publish a prior on the hub, where the repository is made if it is missing.

    Args:
        prior: folder of a prior, or a bundled one's name.
        repository: ``OWNER/NAME``.
        private: of a repository that is made.
        dry_run: only find out what would be pushed.
        api: in place of `huggingface_hub.HfApi`, which takes its token from ``hf auth login``.
        on_progress: told the fraction done, and what is being done.

    Returns:
        The files, and where they are to be seen; empty of a dry run.

    Raises:
        UsageError: a name that no repository can have.
        PriorError: as `hub_folder`.
        OutputError: the hub does not take it.
    """
    from huggingface_hub import HfApi

    if not HUB_NAME.fullmatch(repository):
        raise UsageError(f"the repository is {repository!r}; expected OWNER/NAME, such as my-lab/chest-ct")
    tell = on_progress or (lambda _fraction, _step: None)
    with tempfile.TemporaryDirectory() as place:
        files = hub_folder(prior, Path(place))
        if dry_run:
            return files, ""
        hub = api or HfApi()
        tell(0.1, f"pushing {len(files)} files to {repository}")
        try:
            url = hub.create_repo(repository, private=private, exist_ok=True)
            hub.upload_folder(repo_id=repository, folder_path=place, commit_message="Prior of ctresample")
        except (OSError, ValueError) as error:  # all of the hub are one of these
            raise OutputError(
                f"{repository} was not pushed: {type(error).__name__} {one_line(str(error), 300)}; are you logged in "
                "(hf auth login), and may you write there?"
            ) from error
    return files, str(url)


def _index(folder: Path) -> dict[str, Any]:
    """``model_index.json``: which class of which library each part is of."""
    parts = {}
    for path in sorted(folder.iterdir()):
        for name in ("config.json", "scheduler_config.json"):
            if (path / name).is_file():
                parts[path.name] = ["diffusers", str(read_json(path / name)["_class_name"])]
    return {"_class_name": "ReSamplePipeline", **parts}
