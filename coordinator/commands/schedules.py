"""`schedules`: list, show, pause, resume, trigger, delete, preview."""

from argparse import Namespace
from collections.abc import Iterator
from urllib.parse import quote

from coordinator.commands.endings import DONE
from coordinator.commands.profiles import connect, place_of
from coordinator.commands.story import story_of
from coordinator.commands.words import ago, span
from coordinator.commands.writing import STATE_STYLES, Column, Thing, Writer
from coordinator.domain.durations import parse_duration
from coordinator.errors import Invalid
from coordinator.sdk.for_commands import CommandClient

_RULE = ("cron", "timezone", "dst", "startAt", "endAt")


def run(options: Namespace) -> int:
    """Do what was asked for."""
    writer = Writer.of(options)
    with connect(place_of(options)) as client:
        match options.act:
            case "list":
                found = (one for one in _all(client) if options.queue in (None, one["queue"]))
                if not writer.many(found, _COLUMNS):
                    writer.note("There are no schedules. Make one: coordinator enqueue report --cron '0 9 * * 1-5'")
            case "show":
                schedule = client.request("GET", _path(options.names[0]))
                writer.one(schedule, lambda: story_of(schedule, writer))
            case "preview":
                told = client.request("POST", "/schedule/preview", _preview(client, options))
                lines = [f"{tick}  {ago(tick)}" for tick in told["nextRuns"]]
                writer.one(told | {"id": options.rule}, lambda: "\n".join(lines) or "never again")
            case _:
                for name in options.names:
                    _act(client, options, writer, name)
    return DONE


def _act(client: CommandClient, options: Namespace, writer: Writer, name: str) -> None:
    if options.act == "delete":
        told = client.request("DELETE", _path(name), query={"runs": "cancel"} if options.cancel_runs else None)
        cancelled = f", {told['cancelled']} of its runs cancelled" if options.cancel_runs else ""
        writer.did(told, f"{name}  deleted{cancelled}")
        return
    told = client.request("POST", f"{_path(name)}/{options.act}")
    if options.act == "trigger":
        writer.one(told, lambda: f"{told['id']}  {writer.state(told['state'])}")
    else:
        writer.did(told, f"{name}  {writer.state(told['state'])}, next {ago(told['nextRunAt'])}")


def _preview(client: CommandClient, options: Namespace) -> Thing:
    """A rule of cron has spaces or begins with `@`, an interval is a length of time, and else it is a name."""
    rule = options.rule.strip()
    asked = {"count": options.count} | ({"timezone": options.timezone} if options.timezone else {})
    if " " in rule or rule.startswith("@"):
        return {"cron": rule, "seconds": True, **asked} if len(rule.split()) == 6 else {"cron": rule, **asked}
    try:
        return {"every": parse_duration(rule, "rule"), **asked}
    except Invalid:
        known = client.request("GET", _path(rule))
    told = {field: known[field] for field in _RULE if known[field] is not None}
    if known["everyMs"] is not None:
        # Those of the clock are not for an interval.
        return {"every": known["everyMs"]} | {f: told[f] for f in ("startAt", "endAt") if f in told} | asked
    return told | ({"seconds": True} if len(known["cron"].split()) == 6 else {}) | asked


def _all(client: CommandClient) -> Iterator[Thing]:
    query: dict[str, object] = {"limit": 200}
    while True:
        page = client.request("GET", "/schedule", query=query)
        yield from page["items"]
        if page["cursor"] is None:
            return
        query["cursor"] = page["cursor"]


def _path(name: str) -> str:
    return f"/schedule/{quote(name, safe=':')}"


_COLUMNS = [
    Column("NAME", lambda one: one["name"] or one["id"]),
    Column("STATE", lambda one: str(one["state"]), lambda one: STATE_STYLES.get(one["state"], "32")),
    Column("RULE", lambda one: one["cron"] or f"every {span(one['everyMs'])}"),
    Column("TIMEZONE", lambda one: str(one["timezone"])),
    Column("WORKER", lambda one: str(one["worker"])),
    Column("QUEUE", lambda one: str(one["queue"])),
    Column("NEXT", lambda one: ago(one["nextRunAt"])),
    Column("LAST", lambda one: ago(one["lastRunAt"])),
    Column("RUNS", lambda one: str(one["runs"]), is_number=True),
]
