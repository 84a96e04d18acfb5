"""Every line of the log tells of an event that README lists, in fields that it lists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from coordinator.log import EVENTS, FIELDS

ROOT = Path(__file__).parent.parent
LEVELS = "debug|info|warning|error|exception|critical"
COPIED = "coordinator/sdk/functions.py"
"""It runs in others' functions, and logs as they do."""


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    """Every function that may log, and the file it is in."""
    for path in sorted((ROOT / "coordinator").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name != COPIED:
            yield from ((name, node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function))


def log_calls() -> Iterator[tuple[str, ast.Dict | None, Function]]:
    """Every call of a logger: where it is, its `extra`, and the function that it is in."""
    for name, function in functions():
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and re.fullmatch(rf"_?log\.({LEVELS})", ast.unparse(node.func)):
                extra = next((keyword.value for keyword in node.keywords if keyword.arg == "extra"), None)
                yield f"{name}:{node.lineno}", extra if isinstance(extra, ast.Dict) else None, function


def literals(fields: ast.Dict) -> dict[str, ast.expr]:
    """The fields that stand there by name."""
    named = zip(fields.keys, fields.values, strict=True)
    return {str(key.value): value for key, value in named if isinstance(key, ast.Constant)}


def event_of(extra: ast.Dict | None) -> str | None:
    """The event that a line names."""
    event = None if extra is None else literals(extra).get("event")
    return str(event.value) if isinstance(event, ast.Constant) else None


def fields_of(extra: ast.Dict, function: Function) -> set[str]:
    """All fields of a line, also of what is put together just before it, or by a method `_told`."""
    spread = {ast.unparse(value) for key, value in zip(extra.keys, extra.values, strict=True) if key is None}
    found = set(literals(extra)) - {"event"}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and {ast.unparse(target) for target in node.targets} & spread:
            assert isinstance(node.value, ast.Dict), ast.unparse(node)
            found |= set(literals(node.value))
    if any(text.startswith("self._told(") for text in spread):
        (told,) = (found for name, found in functions() if found.name == "_told" and name.endswith("witness.py"))
        found |= {name for node in ast.walk(told) if isinstance(node, ast.Dict) for name in literals(node)}
    return found


def test_every_line_tells_of_a_known_event_and_every_event_is_told_of():
    calls = [(place, event_of(extra)) for place, extra, _ in log_calls()]

    assert len(calls) > 30
    assert [(place, event) for place, event in calls if event not in EVENTS] == []
    assert set(EVENTS) - {event for _, event in calls} == set()


def test_every_field_has_its_fixed_name():
    fields = {place: fields_of(extra, function) for place, extra, function in log_calls() if extra}

    assert {place: names - set(FIELDS) for place, names in fields.items() if names - set(FIELDS)} == {}
    assert set(FIELDS) - set().union(*fields.values()) == set()


def test_readme_lists_all_of_them():
    readme = (ROOT / "README.md").read_text()
    section = readme.partition("### Logs\n")[2].partition("\n### ")[0]

    listed = dict(re.findall(r"^\| `([a-z]+(?:\.[a-z]+)?)` \| (.+) \|$", section, re.MULTILINE))
    assert listed == EVENTS
    fields = dict(re.findall(r"`(\w+)` \(([^)]+)\)", section.replace("\n", " ")))
    assert fields == FIELDS
