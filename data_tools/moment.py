"""The moment that a result bears."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

from ctresample.data_tools.plain_text import one_line
from ctresample.errors import UsageError


def moment() -> datetime:
    """Now, or the moment that reproducible builds give (reproducible-builds.org/specs/source-date-epoch).

    Raises:
        UsageError: the environment's ``SOURCE_DATE_EPOCH`` is no number of seconds since 1970.
    """
    stated = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not stated:
        return datetime.now().astimezone()
    if not re.fullmatch("[0-9]{1,11}", stated):
        raise UsageError(
            f"SOURCE_DATE_EPOCH is {one_line(stated, 40)!r}; expected whole seconds since 1970, or leave it unset"
        )
    return datetime.fromtimestamp(int(stated), UTC)
