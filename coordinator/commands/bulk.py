"""`jobs cancel|retry|run|delete|edit`: one act on all jobs that a filter finds, counted first, and told as it goes."""

import json
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from coordinator.commands.asking import agree, filter_of, put_fields
from coordinator.commands.endings import DONE, USAGE, Ending
from coordinator.commands.profiles import connect, place_of
from coordinator.commands.progress import Progress
from coordinator.commands.words import number, plural
from coordinator.commands.writing import Writer
from coordinator.sdk.client import CoordinatorError
from coordinator.sdk.for_commands import CommandClient

_DONE = {
    "cancel": "cancelled",
    "retry": "tried anew",
    "run": "made due",
    "delete": "cancelled or erased",
    "edit": "changed",
}
_SHRINKING = frozenset({"cancel", "retry", "delete"})
"""What they have done, they do not find again: so they can be asked for until nothing is left."""

_MOST = 1_000_000
"""In one request."""

_NDJSON = "application/x-ndjson"


def run(options: Namespace) -> int:
    """Do what was asked for."""
    chosen = filter_of(options)
    if not chosen and not options.all:
        raise Ending(USAGE, "there is no filter, which means every job of every queue; add --all if that is meant.")
    asked: dict[str, Any] = {"action": options.act, "filter": chosen}
    if options.act == "edit":
        asked["set"] = put_fields({}, options.set)
    return act_on_found(options, asked)


def act_on_found(options: Namespace, asked: dict[str, Any]) -> int:
    """Count, ask, and do it to all that are found, or to as many as `--limit` says."""
    writer = Writer.of(options)
    if not asked["filter"]:
        asked = asked | {"all": True}
    with connect(place_of(options)) as client:
        if options.dry_run or not options.yes:
            found = _count(client, asked, options.limit)
            if options.dry_run:
                told = {"action": asked["action"], "dryRun": True} | found
                writer.did(told, f"{_many(found)} would be {_DONE[asked['action']]}; nothing was changed")
                return DONE
            if not found["matched"]:
                writer.did({"action": asked["action"]} | found, "No jobs are found so.")
                return DONE
            agree(options, f"{asked['action'].capitalize()} {_many(found)}?")
        with Progress.of(options, asked["action"], "jobs") as progress:
            told = _act(client, asked, options.limit, progress.at)
    left = "; there are more" if told["more"] else ""
    same = "" if told["done"] == told["matched"] else f" of {number(told['matched'])} that were found"
    text = f"{plural(told['done'], 'job')}{same} {_DONE[asked['action']]}{left}"
    writer.did({"action": asked["action"]} | told, text)
    return DONE


def _many(found: dict[str, Any]) -> str:
    return f"{plural(found['matched'], 'job')}{' or more' if found['more'] else ''}"


def _count(client: CommandClient, asked: dict[str, Any], limit: int | None) -> dict[str, Any]:
    return _stream(client, asked | {"dryRun": True} | ({"limit": min(limit, _MOST)} if limit else {}), lambda _: None)


def _act(client: CommandClient, asked: dict[str, Any], limit: int | None, at: Callable[[int], None]) -> dict[str, Any]:
    """Ask again while there are more, where that comes to an end."""
    matched = done = 0
    while True:
        left = {"limit": min(limit - matched, _MOST)} if limit else {}
        before = matched
        told = _stream(client, asked | left, lambda line, before=before: at(before + line["matched"]))  # type: ignore[misc]
        matched, done = matched + told["matched"], done + told["done"]
        is_over = not told["more"] or not told["matched"] or (limit is not None and matched >= limit)
        if is_over or asked["action"] not in _SHRINKING:
            return {"matched": matched, "done": done, "more": told["more"]}


def _stream(client: CommandClient, asked: dict[str, Any], at: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The last line of the answer. Raises `CoordinatorError`, also for what went wrong on the way."""
    told: dict[str, Any] = {}
    with client.lines("POST", "/job/bulk", accept=_NDJSON, body=asked) as lines:
        for line in lines:
            told = json.loads(line)
            if problem := told.get("problem"):
                raise CoordinatorError(problem["status"], problem["code"], problem["detail"], problem)
            at(told)
    if "more" not in told:
        raise CoordinatorError(0, "unreachable", "the answer ended too early; what was done before stays done")
    return told
