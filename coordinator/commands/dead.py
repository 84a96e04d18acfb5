"""`dead`: what jobs died of, in groups of one error; and `dead replay`, which has them tried anew."""

import shlex
from argparse import Namespace
from typing import Any

from coordinator.commands.asking import filter_of
from coordinator.commands.bulk import act_on_found
from coordinator.commands.endings import DONE, USAGE, Ending
from coordinator.commands.profiles import connect, place_of
from coordinator.commands.words import ago, clean, error_text, number, plural
from coordinator.commands.writing import Column, Thing, Writer


def run(options: Namespace) -> int:
    """Do what was asked for."""
    if options.act == "replay":
        return _replay(options)
    writer = Writer.of(options)
    asked = {name: getattr(options, name) for name in ("queue", "worker", "limit")}
    with connect(place_of(options)) as client:
        told = client.request("GET", "/dead", query={name: value for name, value in asked.items() if value})
    groups: list[Thing] = told["groups"]
    writer.many(groups, COLUMNS, name="jobId")
    if not groups:
        writer.note("No job is dead.")
        return DONE
    if told["isTruncated"]:
        looked = plural(told["looked"], "dead job")
        writer.note(f"There are more than these: {looked} were looked at. Name a --queue or a --worker.")
    if writer.is_seen:
        writer.note(f"To try the first of them anew: {_replay_of(groups[0])}")
    return DONE


def _replay_of(group: Thing) -> str:
    """The command that has a group be tried anew."""
    asked = [("--queue", group["queue"]), ("--worker", group["worker"]), ("--error", group["match"])]
    named = (f"{flag} {shlex.quote(clean(value))}" for flag, value in asked if value)
    return f"coordinator dead replay {' '.join(named)}"


def _replay(options: Namespace) -> int:
    chosen: dict[str, Any] = filter_of(options)
    if chosen.setdefault("state", "dead") != "dead":
        raise Ending(USAGE, "replay is for dead jobs; coordinator jobs retry is for cancelled ones too.")
    if set(chosen) == {"state"} and not options.all:
        raise Ending(USAGE, "there is no filter, which means every dead job; add --all if that is meant.")
    return act_on_found(options, {"action": "retry", "filter": chosen})


COLUMNS = [
    Column("COUNT", lambda group: number(group["count"]), lambda _: "31", is_number=True),
    Column("LAST", lambda group: ago(group["lastAt"])),
    Column("QUEUE", lambda group: str(group["queue"])),
    Column("WORKER", lambda group: str(group["worker"])),
    Column("JOB", lambda group: str(group["jobId"])),
    Column("ERROR", lambda group: error_text(group["error"])),
]
"""Of a group; the job is the last of it."""
