"""`queues`: list, show, pause, resume, set, purge."""

from argparse import Namespace
from urllib.parse import quote

from coordinator.commands.asking import agree, put_fields, settings_at
from coordinator.commands.endings import DONE
from coordinator.commands.grammar_parts import STATES
from coordinator.commands.profiles import connect, place_of
from coordinator.commands.words import ago, brief, number, plural, span
from coordinator.commands.writing import Column, Thing, Writer
from coordinator.sdk.for_commands import CommandClient

_SETTINGS = ("concurrency", "rate", "perKey", "maxWaiting", "circuit", "defaults", "retention")
"""What `PUT` takes of what `GET` tells; a pause that is left out stays."""


def run(options: Namespace) -> int:
    """Do what was asked for."""
    writer = Writer.of(options)
    with connect(place_of(options)) as client:
        match options.act:
            case "list":
                if not writer.many(client.request("GET", "/queue")["items"], _COLUMNS, name="name"):
                    writer.note("There are no queues yet; one begins with its first job.")
            case "show":
                queue = client.request("GET", _path(options.names[0]))
                writer.one(queue, lambda: _told(queue, writer), name="name")
            case "set":
                queue = _set(client, options)
                writer.did(queue, _told(queue, writer))
            case "purge":
                _purge(client, options, writer)
            case _:
                for name in options.names:
                    queue = client.request("POST", f"{_path(name)}/{options.act}")
                    writer.did(queue, f"{name}  {writer.state('paused') if queue['paused'] else 'goes on'}")
    return DONE


def _set(client: CommandClient, options: Namespace) -> Thing:
    known = {} if options.replace else settings_at(client, _path(options.name), "queue_not_found")
    body = {field: known[field] for field in _SETTINGS if field in known}
    told: Thing = client.request("PUT", _path(options.name), put_fields(body, options.fields))
    return told


def _purge(client: CommandClient, options: Namespace, writer: Writer) -> None:
    queue = client.request("GET", _path(options.name))
    counts = {state: queue[state] for state in STATES if state != "running"}
    total = sum(counts.values())
    words = ", ".join(f"{number(count)} {state}" for state, count in counts.items() if count) or "nothing"
    if options.dry_run:
        told = {"name": options.name, "dryRun": True, "matched": total}
        writer.did(told, f"would purge {words}; nothing was changed")
        return
    agree(options, f"Purge {plural(total, 'job')} of {options.name} ({words})?")
    matched = done = 0
    while True:
        told = client.request("POST", f"{_path(options.name)}/purge")
        matched, done = matched + told["matched"], done + told["done"]
        if not told["more"] or not told["matched"]:
            break
    told = {"name": options.name, "matched": matched, "done": done, "more": told["more"]}
    writer.did(told, f"{options.name}  {plural(done, 'job')} cancelled or erased")


def _told(queue: Thing, writer: Writer) -> str:
    counts = ", ".join(f"{number(queue[state])} {writer.state(state)}" for state in STATES if queue[state])
    lines = [
        f"{'queue':12}{queue['name']}{'  ' + writer.state('paused') if queue['paused'] else ''}",
        f"{'jobs':12}{counts or 'none'}",
        f"{'latency':12}{span(queue['latencyMs'])}",
    ]
    lines += [f"{name:12}{brief(queue[name], 200)}" for name in _SETTINGS]
    if queue["blockedUntil"]:
        lines.append(f"{'blocked':12}until {queue['blockedUntil']} ({ago(queue['blockedUntil'])})")
    lines += [
        f"{'circuit':12}{one['worker']}: {one['failures']} failures, tried again {ago(one['openUntil'])}"
        for one in queue["circuits"]
    ]
    return "\n".join(lines)


def _rate(rate: Thing | None) -> str:
    return "-" if rate is None else f"{rate['limit']:g}/{span(rate['periodMs'])}"


def _path(name: str) -> str:
    return f"/queue/{quote(name, safe=':')}"


_COLUMNS = [
    Column("NAME", lambda queue: str(queue["name"])),
    *(
        Column(state.upper(), lambda queue, state=state: number(queue[state]), is_number=True)  # type: ignore[misc]
        for state in STATES
    ),
    Column("LATENCY", lambda queue: span(queue["latencyMs"]), is_number=True),
    Column("LIMIT", lambda queue: str(queue["concurrency"] or "-"), is_number=True),
    Column("RATE", lambda queue: _rate(queue["rate"])),
    Column("STATE", lambda queue: "paused" if queue["paused"] else "on", lambda q: "33" if q["paused"] else ""),
]
