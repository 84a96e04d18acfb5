"""Secrets by reference: where a worker may hold a secret, `env:NAME` stands for the replica's own variable.

What is read is `COORDINATOR_SECRET_NAME`, or the file that `COORDINATOR_SECRET_NAME_FILE` names, and nothing else of
the environment. The prefix is fixed because who may register workers says where calls go and what they carry: without
it, `env:COORDINATOR_REDIS_PASSWORD` in a header would have the coordinator send the password of its store to a URL of
theirs.

A process has its environment from its start, so each value is read once; a changed one needs a restart.
"""

import os
import re
from functools import lru_cache
from pathlib import Path

from coordinator.calling.unsendable import Unsendable

MARK = "env:"
VARIABLE_PREFIX = "COORDINATOR_SECRET_"

_NAME = re.compile(r"[A-Za-z0-9_]{1,128}", re.ASCII)


def is_reference(value: str) -> bool:
    """Whether the value stands for another, which is in the environment."""
    return value.startswith(MARK)


def reference_problem(value: str) -> str | None:
    """What is wrong with a reference on this replica, with the remedy; None for a good one, and for a plain value."""
    try:
        resolved(value)
    except Unsendable as why:
        return why.message
    return None


def resolved(value: str) -> str:
    """The value, or what it refers to. Raises `Unsendable` (`MissingSecret`)."""
    if not is_reference(value):
        return value
    name = value.removeprefix(MARK)
    if not _NAME.fullmatch(name):
        raise Unsendable("MissingSecret", f"{MARK}NAME needs a name of letters, digits and _, up to 128.")
    # As with the settings: what comes from a file mostly ends with a line feed.
    found = os.environ.get(f"{VARIABLE_PREFIX}{name}", "").strip() or _in_file(name)
    if not found:
        raise Unsendable(
            "MissingSecret",
            f"The environment variable {VARIABLE_PREFIX}{name} is not set on this replica; each replica needs it.",
        )
    return found


def _in_file(name: str) -> str:
    """The content of the file that stands for a variable, such as a secret that was mounted; empty without one."""
    path = os.environ.get(f"{VARIABLE_PREFIX}{name}_FILE")
    return "" if not path else _content(path)


@lru_cache(maxsize=1024)
def _content(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as why:
        raise Unsendable("MissingSecret", f"{path} cannot be read on this replica: {type(why).__name__}.") from None


@lru_cache(maxsize=1024)
def all_resolved(values: tuple[str, ...]) -> tuple[str, ...]:
    """All of them. What raises is not kept. Raises `Unsendable`."""
    return tuple(map(resolved, values))
