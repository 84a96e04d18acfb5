"""A declaration as a file holds it, and a value of its fields as a line has it."""

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from coordinator.commands.endings import USAGE, Ending
from coordinator.commands.words import brief

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


def written(field: str, value: object) -> str:
    """A value of a field in a line."""
    if value is None:
        return "none"
    return f"{value} ms" if field.endswith("Ms") else brief(value, 100)
