"""A declaration as a file holds it, and how what is declared differs from what is there.

The coordinator says which things change; which of their fields do is found here, by what it tells of them.
"""

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coordinator.commands.endings import USAGE, Ending
from coordinator.commands.words import brief
from coordinator.domain.durations import parse_duration
from coordinator.domain.instants import format_instant, parse_instant
from coordinator.errors import Invalid

HIDDEN = "[hidden]"
"""Stands in an answer for what is secret."""

_DURATIONS = "Ms"
_INSTANTS = frozenset({"startAt", "endAt", "runAt"})

Declared = dict[str, Any]


def read_declaration(name: str) -> Declared:
    """The file's content, by its ending. Raises `Ending`."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Ending(USAGE, f"{name} cannot be read: {error}.") from None
    kind = Path(name).suffix.lower() if name != "-" else ".json"
    try:
        told = _parsers()[kind](text)
    except KeyError:
        raise Ending(USAGE, f"{name} ends with none of .json, .yaml, .yml and .toml.") from None
    except ImportError:
        raise Ending(USAGE, "YAML needs a library that is missing here: pip install 'coordinator[yaml]'") from None
    except ValueError as error:
        # Of YAML the message has several lines.
        raise Ending(USAGE, f"{name} cannot be read as {kind[1:]}: {' '.join(str(error).split())}.") from None
    if not isinstance(told, dict):
        raise Ending(USAGE, f"{name} is no declaration: it is an object with owner, workers, queues and schedules.")
    return told


def _parsers() -> dict[str, Any]:
    return {".json": json.loads, ".toml": tomllib.loads, ".yaml": _yaml, ".yml": _yaml}


def _yaml(text: str) -> Any:  # noqa: ANN401 - what a file holds
    import yaml  # noqa: PLC0415 - an extra, and for these files only

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def differences(declared: Declared, known: Declared, path: str = "") -> Iterator[tuple[str, object, object]]:
    """The fields that differ: their names, what is there, and what is declared."""
    for name, wanted in declared.items():
        field = f"{path}{name}"
        if f"{name}{_DURATIONS}" in known:
            before: Any = known[f"{name}{_DURATIONS}"]
            if _length(wanted) != before:
                yield field, f"{before} ms" if before is not None else None, wanted
            continue
        before = known.get({"runAt": "startAt"}.get(name, name))
        if isinstance(wanted, dict) and isinstance(before, dict):
            yield from differences(wanted, before, f"{field}.")
        elif before == HIDDEN:
            yield field, HIDDEN, "as declared"
        elif not _is_same(name, wanted, before, known):
            yield field, before, wanted


def written(value: object) -> str:
    """A value of a field in a line."""
    return "none" if value is None else brief(value, 100)


def _length(value: object) -> object:
    try:
        return parse_duration(value, "")
    except Invalid:
        return value


def _is_same(name: str, wanted: object, before: object, known: Declared) -> bool:
    if name in _INSTANTS and wanted is not None:
        try:
            wanted = format_instant(parse_instant(wanted, name, known.get("timezone")))
        except Invalid:
            return False
    if name == "retry" and isinstance(wanted, list):
        wanted = [_length(one) for one in wanted]
    # A preset is told as the limits that it means; seconds as six fields of cron.
    return name in {"preset", "seconds"} or wanted == before
