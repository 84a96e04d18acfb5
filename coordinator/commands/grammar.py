"""What can be said to the commands that talk to a running coordinator. It imports nothing that is slow to load."""

import sys
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from coordinator.commands.grammar_of_settings import add_settings_commands
from coordinator.commands.grammar_of_streams import add_stream_commands
from coordinator.commands.grammar_parts import (
    COMMON_FLAGS,
    Commands,
    acts_of,
    add_consent,
    add_filters,
    add_wait,
    leaf,
    whole,
)

DEFAULT_ACTS = {
    "job": "show",
    "jobs": "list",
    "queues": "list",
    "schedules": "list",
    "workers": "list",
    "dead": "list",
    "profiles": "list",
}
"""What is meant where a command is given without an act: `coordinator jobs --state dead`."""

NAMED = frozenset({"queues", "schedules", "workers"})
"""Of these one is shown where a name stands alone: `coordinator queues mail`."""


def add_commands(commands: Commands) -> None:
    """Tell the parser of them all."""
    _add_enqueue(commands)
    _add_job(commands)
    _add_jobs(commands)
    add_settings_commands(commands)
    add_stream_commands(commands)


def arranged(arguments: list[str], commands: Commands) -> list[str]:
    """The arguments as the grammar has them: with the act that is meant where none is named, and common flags after it.

    A word that is no command ends the program, with the one that was probably meant.
    """
    flags, rest = _common_flags(arguments)
    if not rest or rest[0].startswith("-"):
        return arguments
    command, *rest = rest
    if command not in commands.choices:
        _refuse(command, "", commands.choices)
    acts = acts_of(commands.choices[command])
    if not acts:
        return [command, *flags, *rest]
    more, rest = _common_flags(rest)
    if rest and rest[0] in {"-h", "--help"}:
        return [command, *rest]
    if not rest or rest[0] not in acts:
        act = _meant_act(command, rest, acts)
        return [command, *([act] if act else []), *flags, *more, *rest]
    return [command, rest[0], *flags, *more, *rest[1:]]


def _common_flags(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The common flags that stand first, each with its value; and the rest."""
    at = 0
    while at < len(arguments):
        name, equals, _ = arguments[at].partition("=")
        if name not in COMMON_FLAGS:
            break
        at += 2 if COMMON_FLAGS[name] and not equals else 1
    return arguments[:at], arguments[at:]


def _meant_act(command: str, rest: list[str], acts: Collection[str]) -> str | None:
    """What is meant without an act: all of them, or the one that is named. None if that cannot be known."""
    # Behind `--` all are words.
    is_behind = rest[:1] == ["--"]
    words = rest[1:] if is_behind else rest
    has_word, has_more = (len(words) > at and (is_behind or not words[at].startswith("-")) for at in (0, 1))
    # One word may be the name of anything; two, or one where no name is wanted, are an act that is misspelt.
    if has_word and (has_more or command not in {*NAMED, "job"}):
        _refuse(words[0], f"{command} ", acts, is_sure=False)
    if command == "job" and not rest:
        return None
    return "show" if has_word and command in NAMED else DEFAULT_ACTS.get(command)


def _refuse(word: str, before: str, known: Iterable[str], *, is_sure: bool = True) -> None:
    """End the program, unless it is not sure that the word is wrong, and none is near."""
    near = get_close_matches(word, known, 1)
    if near or is_sure:
        remedy = f"did you mean {before}{near[0]}?" if near else "coordinator --help lists them"
        sys.stderr.write(f"coordinator: there is no command {before + word!r}; {remedy}\n")
        raise SystemExit(2)  # As argparse ends what it does not understand.


def _add_enqueue(commands: Commands) -> None:
    text = "make a job that runs now or later, or with --cron or --every a schedule"
    enqueue = leaf(commands, "enqueue", text, "jobs")
    enqueue.add_argument("worker", help="the function's name")
    enqueue.add_argument("args", nargs="?", help="any JSON; @FILE reads it from a file, - from stdin")
    enqueue.add_argument(
        "--arg", action="append", default=[], metavar="NAME=VALUE", help="a field of args; VALUE is JSON, else text"
    )
    for flag, text in (
        ("--queue", "its queue"),
        ("--key", "what limits are per: a tenant, a shop's domain"),
        ("--delay", "not before so much time has passed, such as 10m"),
        ("--run-at", "not before this instant, such as 2030-01-01T10:00:00Z"),
        ("--timezone", "of --run-at and --cron"),
        ("--priority", "0 first, 9 last"),
        ("--cost", "tokens that a call takes"),
        ("--timeout", "how long an attempt may take"),
        ("--max-attempts", "calls that may fail"),
        ("--expires-in", "not begun so long after it was due: cancelled"),
        ("--unique", "a handle that one job of the queue has at a time"),
        ("--cron", "five fields or @daily: makes a schedule"),
        ("--every", "such as 10m: makes a schedule"),
        ("--batch-id", "an open batch that it joins"),
    ):
        enqueue.add_argument(flag, help=text)
    enqueue.add_argument("--tag", action="append", default=[], help="a word to find it by; may be repeated")
    text = "any other field of a job, such as heartbeatTimeout=1m or onFailure.worker=alarm"
    enqueue.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help=text)
    enqueue.add_argument("--idempotency-key", help="the same request under it is made once within a day")
    enqueue.add_argument("--dry-run", action="store_true", help="store nothing, and tell when it would run")
    add_wait(enqueue)


def _add_job(commands: Commands) -> None:
    acts = commands.add_parser("job", help="show one job with its story; cancel, retry, run or delete some by id")
    under = acts.add_subparsers(dest="act", required=True, metavar="ID | act")
    show = leaf(under, "show", "one job with its story (meant where an id stands alone)", "jobs")
    show.add_argument("id", help="of a job, or of a schedule")
    add_wait(show)
    for act, text in (
        ("cancel", "cancel jobs that wait; ask the functions of those that run to stop"),
        ("retry", "have dead or cancelled jobs tried anew"),
        ("run", "make jobs due now that wait for their time"),
        ("delete", "cancel jobs that wait, erase those that are final"),
    ):
        one = leaf(under, act, text, "jobs")
        one.add_argument("ids", nargs="+", metavar="ID")
        if act == "delete":
            one.add_argument("--force", action="store_true", help="ask the functions of those that run to stop")


def _add_jobs(commands: Commands) -> None:
    acts = commands.add_parser("jobs", help="list jobs by a filter; cancel, retry, run, delete or edit all it finds")
    under = acts.add_subparsers(dest="act", required=True, metavar="act")
    listed = leaf(under, "list", "the jobs that a filter finds (meant where no act is named)", "jobs")
    add_filters(listed)
    listed.add_argument("--limit", type=whole(1), default=50, help="so many at the most (50)")
    listed.add_argument("--all", action="store_true", help="all of them")
    for act, text in (
        ("cancel", "cancel all jobs that the filter finds"),
        ("retry", "try them anew"),
        ("run", "make them due now"),
        ("delete", "cancel those that wait, erase those that are final"),
        ("edit", "change those that wait"),
    ):
        many = leaf(under, act, text, "bulk")
        add_filters(many)
        many.add_argument("--all", action="store_true", help="every job of every queue, where there is no filter")
        many.add_argument("--limit", type=whole(1), help="so many at the most")
        add_consent(many)
        if act == "edit":
            many.add_argument(
                *("--set", "-s"),
                action="append",
                required=True,
                default=[],
                metavar="FIELD=VALUE",
                help="priority, delay, runAt, args, key, maxAttempts, tags or meta; VALUE is JSON, else text",
            )
