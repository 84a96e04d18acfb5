"""What the commands' grammars are made of: a leaf with the common flags, the filter of jobs, and consent."""

import argparse
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

# The class is generic for type checkers only.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name

STATES = ("queued", "scheduled", "retrying", "running", "succeeded", "dead", "cancelled")
"""As the domain has them, whose modules take time to load; a test holds the two together."""

FILTERS = {
    "queue": "of this queue",
    "state": f"{', '.join(STATES[:-1])} or {STATES[-1]}",
    "worker": "for this worker",
    "key": "of this key",
    "tag": "with this tag",
    "schedule": "runs of this schedule",
    "batch": "of this batch",
    "created-after": "made after this instant, or within this time, such as 1h",
    "finished-before": "final before this instant, or for longer than this, such as 7d",
    "error": "whose last error says this",
}
"""Flags, and what they mean."""

FILTER_FIELDS = {"schedule": "scheduleId", "batch": "batchId"}
"""As the API calls them, where it calls them otherwise."""


_COMMON = (
    (("--url",), True, "its address (COORDINATOR_URL, else that of the profile)"),
    (("--token",), True, "who asks (COORDINATOR_TOKEN, else that of the profile)"),
    (("--profile",), True, "one that coordinator login has written (COORDINATOR_PROFILE)"),
    (("--json",), False, "objects, one a line, and nothing else on stdout"),
    (("--quiet", "-q"), False, "ids or names only, and no word more"),
)

COMMON_FLAGS = {name: has_value for names, has_value, _ in _COMMON for name in names}
"""Those that every command has, before it or after it; and whether a value follows."""


def leaf(commands: Commands, name: str, text: str, family: str) -> argparse.ArgumentParser:
    """A command that is run by the module `family`, with the flags that all have."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(family=family)
    group = parser.add_argument_group("which coordinator, and how it is told")
    for names, has_value, meaning in _COMMON:
        group.add_argument(*names, action="store" if has_value else "store_true", help=meaning)
    return parser


def acts_of(parser: argparse.ArgumentParser) -> Collection[str]:
    """The names of the commands below this one."""
    return frozenset(_below(parser))


def act_of(parser: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    """The parser of the command below this one."""
    return _below(parser)[name]


def _below(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - it has no other way to be asked
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return action.choices
    return {}


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Which jobs are meant."""
    group = parser.add_argument_group("which jobs")
    for name, text in FILTERS.items():
        choices = STATES if name == "state" else None
        group.add_argument(f"--{name}", help=text, metavar="TEXT", choices=choices)
    group.add_argument(
        *("--filter", "-f"), action="append", default=[], metavar="NAME=VALUE", help="the same, such as -f state=dead"
    )


def add_consent(parser: argparse.ArgumentParser) -> None:
    """The flags of what changes many things."""
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask first")
    parser.add_argument("--dry-run", action="store_true", help="only count them")


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Whether to see it end."""
    parser.add_argument(
        "--wait",
        nargs="?",
        const="1h",
        metavar="TIME",
        help="until it is final, so long at the most (1h); exit code 6 if it is dead or cancelled, 7 if it goes on",
    )


def whole(least: int, most: int = 1_000_000_000) -> Callable[[str], int]:
    """A whole number within bounds."""

    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    return number
