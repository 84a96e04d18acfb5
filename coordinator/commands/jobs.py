"""`enqueue`, `job` and `jobs`: make jobs, look at them, and do something to some by their ids."""

import json
import sys
import uuid
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from coordinator.commands.asking import camel, filter_of, put_fields, value_of
from coordinator.commands.endings import DONE, JOB_FAILED, REFUSED, STILL_GOING, USAGE, Ending, code_of, line_of
from coordinator.commands.profiles import connect, place_of
from coordinator.commands.story import story_of
from coordinator.commands.words import ago, error_text
from coordinator.commands.writing import STATE_STYLES, Column, Thing, Writer
from coordinator.domain.durations import parse_duration
from coordinator.sdk.client import FINAL_STATES, CoordinatorError
from coordinator.sdk.for_commands import CommandClient

PAGE = 200

_FIELDS = (
    *("queue", "key", "delay", "run_at", "timezone", "priority", "cost", "timeout", "max_attempts", "expires_in"),
    *("unique", "cron", "every", "batch_id"),
)
_NUMBERS = {"priority", "cost", "max_attempts"}


def run(options: Namespace) -> int:
    """Do what was asked for. Whatever can be wrong with it is found before anything is sent."""
    writer, place = Writer.of(options), place_of(options)
    if getattr(options, "wait", None):
        _limit_s(options)
    with connect(place) as client:
        if options.command == "enqueue":
            return _enqueue(client, options, writer)
        if options.command == "jobs":
            return _list(client, options, writer)
        if options.act == "show":
            return _show(client, options, writer)
        return _act(client, options, writer, place.url)


def _enqueue(client: CommandClient, options: Namespace, writer: Writer) -> int:
    given = {name: getattr(options, name) for name in _FIELDS}
    body: dict[str, Any] = {"worker": options.worker}
    body |= {camel(n): value_of(v) if n in _NUMBERS else v for n, v in given.items() if v is not None}
    if options.tag:
        body["tags"] = options.tag
    if options.args is not None:
        body["args"] = _args(options.args)
    if options.arg:
        if not isinstance(body.setdefault("args", {}), dict):
            raise Ending(USAGE, "--arg sets a field of args, and args are no object here.")
        put_fields(body["args"], options.arg)
    put_fields(body, options.set)
    if options.wait and (body.get("cron") is not None or body.get("every") is not None):
        raise Ending(USAGE, "--wait is for a job, and --cron and --every make a schedule, which has no end.")
    if options.dry_run:
        told = client.request("POST", "/job", body, query={"dryRun": "true"})
        writer.did(told, f"would run {told['nextRuns'][0]}; nothing was stored")
        return DONE
    job = client.request("POST", "/job", body, idempotency_key=options.idempotency_key or str(uuid.uuid4()))
    if options.wait:
        writer.note(f"{job['id']} {job['state']}")
        return _wait(client, job["id"], options, writer)
    # Of what is made the id is what is asked for, also where no word more is wanted.
    writer.one(job, lambda: _made(job, writer))
    return DONE


def _made(job: Thing, writer: Writer) -> str:
    if job["kind"] == "schedule":
        return f"{job['id']}  schedule, next {job['nextRunAt']} ({ago(job['nextRunAt'])})"
    same = "  (it was there already)" if job.get("duplicate") else ""
    due = f", due {ago(job['runAt'])}" if job["state"] == "scheduled" else ""
    return f"{job['id']}  {writer.state(job['state'] or 'gone')}{due}{same}"


def _args(text: str) -> Any:  # noqa: ANN401 - JSON
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError as error:
        remedy = 'Quote it for your shell: \'{"to": "a@b.c"}\'; or use --arg to=a@b.c'
        raise Ending(USAGE, f"args are no JSON ({error}). {remedy}") from None


def _show(client: CommandClient, options: Namespace, writer: Writer) -> int:
    if options.wait:
        return _wait(client, options.id, options, writer)
    job = client.get(options.id)
    writer.one(job, lambda: story_of(job, writer))
    return DONE


def _wait(client: CommandClient, job_id: str, options: Namespace, writer: Writer) -> int:
    """Until it is final; its state is the exit code."""
    try:
        job = client.wait(job_id, timeout=_limit_s(options))
    except ValueError as error:
        raise Ending(USAGE, f"{error}.") from None
    except TimeoutError:
        job = client.get(job_id)
    writer.one(job, lambda: story_of(job, writer))
    if job["state"] not in FINAL_STATES:
        return STILL_GOING
    return DONE if job["state"] == "succeeded" else JOB_FAILED


def _limit_s(options: Namespace) -> float:
    """Raises `Invalid`."""
    return parse_duration(options.wait, "--wait", least_ms=1) / 1000


def _list(client: CommandClient, options: Namespace, writer: Writer) -> int:
    most = None if options.all else options.limit
    count = writer.many(jobs_found(client, filter_of(options), most), _COLUMNS)
    if not count:
        writer.note("No jobs are found so.")
    elif count == most:
        writer.note(f"These are the first {count}; --all or --limit shows more.")
    return DONE


def jobs_found(client: CommandClient, chosen: Thing, most: int | None = None) -> Iterator[Thing]:
    """The jobs that a filter finds, page by page."""
    query = {**chosen, "limit": PAGE if most is None else min(PAGE, most)}
    left = most
    while True:
        page = client.request("GET", "/job", query=query)
        items = page["items"] if left is None else page["items"][:left]
        yield from items
        left = None if left is None else left - len(items)
        if page["cursor"] is None or left == 0:
            return
        query["cursor"] = page["cursor"]


def _when(job: Thing) -> str:
    """The instant that matters most in its state."""
    match job["state"]:
        case "queued" | "scheduled" | "retrying":
            return f"due {ago(job['nextAttemptAt'])}"
        case "running":
            return f"since {ago(job['startedAt']).removesuffix(' ago')}"
    return ago(job["finishedAt"])


def _act(client: CommandClient, options: Namespace, writer: Writer, url: str) -> int:
    """To each by itself: one that is refused holds up no other."""
    codes = set()
    for job_id in options.ids:
        path = f"/job/{quote(job_id, safe=':')}"
        try:
            if options.act == "delete":
                told = client.request("DELETE", path, query={"force": "true"} if options.force else None)
            else:
                told = client.request("POST", f"{path}/{options.act}")
        except CoordinatorError as error:
            writer.wrong(f"{job_id}: {line_of(error, url)}")
            codes.add(code_of(error))
        else:
            state = "erased" if told.get("erased") else told["state"]
            asked = " (its function is asked to stop)" if told.get("cancelRequested") else ""
            writer.did(told, f"{job_id}  {writer.state(state)}{asked}")
            codes.add(DONE)
    codes -= {DONE}
    return codes.pop() if len(codes) == 1 else REFUSED if codes else DONE


_COLUMNS = [
    Column("ID", lambda job: str(job["id"])),
    Column("STATE", lambda job: str(job["state"]), lambda job: STATE_STYLES.get(job["state"], "")),
    Column("WORKER", lambda job: str(job["worker"])),
    Column("QUEUE", lambda job: str(job["queue"])),
    Column("KEY", lambda job: job["key"] or "-"),
    Column("TRIES", lambda job: f"{job['attempt']}/{job['maxAttempts']}", is_number=True),
    Column("CREATED", lambda job: ago(job["createdAt"])),
    Column("WHEN", _when),
    Column("ERROR", lambda job: error_text(job["lastError"])),
]
