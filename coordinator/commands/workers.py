"""`workers`: list with the circuits that are open, show, set, ping, delete."""

from argparse import Namespace
from collections.abc import Iterator
from urllib.parse import quote

from coordinator.commands.asking import put_fields, settings_at
from coordinator.commands.endings import DENIED, DONE, REFUSED, Ending, code_of
from coordinator.commands.profiles import connect, place_of
from coordinator.commands.words import ago, brief, error_text, span
from coordinator.commands.writing import Column, Thing, Writer
from coordinator.sdk.client import CoordinatorError
from coordinator.sdk.for_commands import CommandClient

_SETTINGS = ("url", "ack", "headers", "timeout", "queue", "secret", "previousSecret", "auth", "batch")

_HIDDEN = "[hidden]"
"""Stands in an answer for what is secret."""


def run(options: Namespace) -> int:
    """Do what was asked for."""
    writer = Writer.of(options)
    with connect(place_of(options)) as client:
        match options.act:
            case "list":
                if not writer.many(_with_circuits(client), _COLUMNS, name="name"):
                    writer.note("There are no workers. Register one: coordinator workers set '*' url=https://…")
            case "show":
                worker = client.request("GET", _path(options.name))
                writer.one(worker, lambda: _told(worker), name="name")
            case "set":
                worker = _set(client, options)
                writer.did(worker, _told(worker))
            case "ping":
                return _ping(client, options, writer)
            case _:
                for name in options.names:
                    client.request("DELETE", _path(name))
                    writer.did({"name": name, "deleted": True}, f"{name}  deleted")
    return DONE


def _with_circuits(client: CommandClient) -> list[Thing]:
    workers = client.request("GET", "/worker")["items"]
    try:
        queues = client.request("GET", "/queue")["items"]
    except CoordinatorError as error:
        if code_of(error) != DENIED:
            raise
        queues = []
    circuits: dict[str, list[Thing]] = {}
    for queue in queues:
        for one in queue["circuits"]:
            circuits.setdefault(one["worker"], []).append({"queue": queue["name"], **one})
    # Names without a URL of their own are served by the entry point, and have circuits all the same.
    unnamed = sorted(set(circuits) - {worker["name"] for worker in workers})
    known = [worker | {"circuits": circuits.get(worker["name"], [])} for worker in workers]
    return known + [{"name": name, "url": None, "timeoutMs": None, "circuits": circuits[name]} for name in unnamed]


def _set(client: CommandClient, options: Namespace) -> Thing:
    """What is hidden of what is there has to be given again. Raises `Ending`."""
    known = {} if options.replace else settings_at(client, _path(options.name), "worker_not_found")
    if known.get("unreadable"):
        # It is told without its headers, secrets, auth and batch: what is told would be all that is left of it.
        why = "is of another version, or sealed with a key that is missing, so that it cannot be read"
        raise Ending(REFUSED, f"nothing was changed: {options.name} {why}; name all its settings, with --replace.")
    body = put_fields({field: known[field] for field in _SETTINGS if known.get(field) is not None}, options.fields)
    if lost := list(_hidden_in(body, "")):
        again = " ".join(f"{field}=…" for field in lost)
        remedy = f"give the value again, or once as env:NAME, which stays: {again}"
        raise Ending(REFUSED, f"nothing was changed: what is set replaces all, and these are not shown; {remedy}")
    told: Thing = client.request("PUT", _path(options.name), body)
    return told


def _hidden_in(value: object, path: str) -> Iterator[str]:
    """The fields whose values the coordinator did not tell."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _hidden_in(one, f"{path}.{name}".lstrip("."))
    elif value == _HIDDEN:
        yield path


def _ping(client: CommandClient, options: Namespace, writer: Writer) -> int:
    told = client.request("POST", f"{_path(options.name)}/ping")
    sdk = f", {told['sdk']}" if told["sdk"] else ""
    how = f"HTTP {told['httpStatus']}" if told["httpStatus"] else error_text(told["error"])
    note = f"\n{told['note']}" if told["note"] else ""
    is_ok = writer.painted("ok", "32") if told["ok"] else writer.painted("failed", "31")
    writer.did(told, f"{options.name}  {is_ok}  {brief(how, 200)} in {span(told['durationMs'])}{brief(sdk)}{note}")
    return DONE if told["ok"] else REFUSED


def _told(worker: Thing) -> str:
    shown = {field: worker[field] for field in worker if worker[field] not in (None, {}, [])}
    return "\n".join(f"{name:16}{brief(value, 200)}" for name, value in shown.items())


def _circuits(worker: Thing) -> str:
    told = (f"{one['queue']}: {_circuit(one)}" for one in worker["circuits"])
    return ", ".join(told) or "closed"


def _circuit(one: Thing) -> str:
    return f"open, tried {ago(one['openUntil'])}" if one["openUntil"] else f"{one['failures']} failures"


def _path(name: str) -> str:
    return f"/worker/{quote(name, safe=':/*')}"


_COLUMNS = [
    Column("NAME", lambda one: str(one["name"])),
    Column("URL", lambda one: one["url"] or "(that of *)"),
    Column("TIMEOUT", lambda one: span(one["timeoutMs"])),
    Column("CIRCUITS", _circuits, lambda one: "31" if any(c["openUntil"] for c in one["circuits"]) else ""),
]
