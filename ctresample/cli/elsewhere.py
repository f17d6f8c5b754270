"""Where the options are that a message names and the verb that was called lacks.

Many verbs read the same files, and a reader's advice names an option that only some of them have.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


def elsewhere(message: str, words: Sequence[str], group: Any) -> str:
    """What to add to a message: of each option that it names, which other verbs have it; empty if there is no need.

    Args:
        message: in which options are named.
        words: of the command line; the first ones call the verb.
        group: all verbs.
    """
    found = {" ".join(path): _options(command) for path, command in _verbs(group)}
    verb = max((name for name in found if list(words)[: len(name.split())] == name.split()), key=len, default="")
    own = found.get(verb, set()) | _options(group)
    added = []
    for option in dict.fromkeys(_OPTION.findall(message)):
        having = [name for name, options in found.items() if option in options]
        said = any(f"{name} {option}" in message for name in having)
        if having and option not in own and not said:
            added.append(f"{option} is an option of {', '.join(having)}")
    return f" ({'; '.join(added)})" if added and verb else ""


def _verbs(group: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not hasattr(group, "commands"):
        return [(path, group)]
    return [found for name, one in group.commands.items() for found in _verbs(one, (*path, name))]


def _options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}
