"""What was typed, as the API wants it: filters, fields with their values, and whether somebody agrees."""

import json
import re
import sys
from argparse import Namespace
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from coordinator.commands.endings import REFUSED, USAGE, Ending
from coordinator.commands.grammar_parts import FILTER_FIELDS, FILTERS
from coordinator.domain.durations import parse_duration
from coordinator.errors import Invalid, joined
from coordinator.sdk.for_commands import CommandClient
from coordinator.sdk.sending import CoordinatorError

_INSTANTS = ("created-after", "finished-before")


def filter_of(options: Namespace) -> dict[str, Any]:
    """Which jobs are meant, by the names of the API. Raises `Ending`."""
    asked = {name: getattr(options, name.replace("-", "_"), None) for name in FILTERS}
    for given in options.filter:
        name, has_value, value = given.partition("=")
        # `error~=text`, and names as the API and as the flags write them.
        name = re.sub("([A-Z])", lambda found: f"-{found[1].lower()}", name.removesuffix("~")).removesuffix("-id")
        if not has_value or name not in FILTERS:
            raise Ending(USAGE, f"--filter {given} is none; it is NAME=VALUE, and names are {joined(tuple(FILTERS))}.")
        asked[name] = value
    chosen = {name: _moment(value) if name in _INSTANTS else value for name, value in asked.items() if value}
    return {FILTER_FIELDS.get(name, camel(name)): value for name, value in chosen.items()}


def _moment(text: str) -> str:
    """A length of time means so long ago."""
    try:
        length_ms = parse_duration(text, "")
    except Invalid:
        return text
    return (datetime.now(UTC) - timedelta(milliseconds=length_ms)).isoformat()


def camel(name: str) -> str:
    """A flag's name as the API writes it."""
    first, *rest = name.replace("_", "-").split("-")
    return first + "".join(word.capitalize() for word in rest)


def value_of(text: str) -> Any:  # noqa: ANN401 - JSON
    """JSON where it is some, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def put_fields(into: dict[str, Any], given: Iterable[str]) -> dict[str, Any]:
    """The object with `a.b=value` set in it. Raises `Ending`."""
    for one in given:
        path, has_value, text = one.partition("=")
        *outer, last = path.split(".")
        # Names of headers have no dots, and nothing else that is set has names of its own.
        if not has_value or not all((*outer, last)):
            raise Ending(USAGE, f"{one!r} is not FIELD=VALUE, such as concurrency=5 or rate.limit=2.")
        at = into
        for name in outer:
            if not isinstance(at.get(name), dict):
                at[name] = {}
            at = at[name]
        at[last] = value_of(text)
    return into


def settings_at(client: CommandClient, path: str, missing: str) -> dict[str, Any]:
    """What is set there now, as it would be asked for; nothing if the API says that it is `missing`, by its code.

    `PUT` replaces all; so what is there comes first, and what is named over it. Raises `CoordinatorError`.
    """
    try:
        known: dict[str, Any] = as_asked(client.request("GET", path))
    except CoordinatorError as error:
        if error.code != missing:
            raise
        return {}
    return known


def as_asked(answer: Any) -> Any:  # noqa: ANN401 - JSON
    """What the API has told of settings, as it would be asked for: lengths of time bear no unit in their names."""
    if isinstance(answer, dict):
        return {name.removesuffix("Ms"): as_asked(value) for name, value in answer.items()}
    return [as_asked(one) for one in answer] if isinstance(answer, list) else answer


def agree(options: Namespace, question: str) -> None:
    """Ask, if somebody is there to answer. Raises `Ending` unless it is agreed."""
    if options.yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Ending(USAGE, f"{question} Nobody can be asked here; add --yes if that is meant.")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Ending(REFUSED, "nothing was changed.")
