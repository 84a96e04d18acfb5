"""`tail`: what happens, as it happens; of all, or of what is asked for, or of one job until it is final."""

import json
from argparse import Namespace
from collections.abc import Iterator

from coordinator.commands.endings import DONE, JOB_FAILED
from coordinator.commands.event_stream import Event, events
from coordinator.commands.profiles import connect, place_of
from coordinator.commands.words import brief, clean, error_text
from coordinator.commands.writing import STATE_STYLES, Writer
from coordinator.sdk.client import FINAL_STATES
from coordinator.sdk.for_commands import CommandClient

_SHOWN_ELSEWHERE = frozenset({"type", "at", "jobId", "queue", "worker", "state", "error"})

_STYLES = {
    "job.started": "1;36",
    "job.retrying": "33",
    "job.succeeded": "32",
    "job.dead": "31",
    "job.cancelled": "90",
    "circuit.opened": "31",
    "circuit.closed": "32",
    "queue.paused": "33",
}


def run(options: Namespace) -> int:
    """Write events until Ctrl-C, or until what was asked for has happened."""
    writer = Writer.of(options)
    asked = {"queue": options.queue, "worker": options.worker, "scheduleId": options.schedule, "type": options.type}
    query = {name: value for name, value in asked.items() if value}
    with connect(place_of(options)) as client:
        if options.job:
            # Of a token for some queues it is wanted that one is named, and a job has one.
            query |= {"jobId": options.job, "queue": client.get(options.job)["queue"]}
        left = options.count
        for event in _told(client, query, options.job, writer):
            writer.line(json.dumps(event) if writer.as_json else line_of(event, writer))
            if options.job and event.get("state") in FINAL_STATES:
                return DONE if event["state"] == "succeeded" else JOB_FAILED
            if options.job and event["type"] == "job.deleted":
                return JOB_FAILED
            left = None if left is None else left - 1
            if left == 0:
                return DONE
    return DONE


def _told(client: CommandClient, query: dict[str, str], job_id: str | None, writer: Writer) -> Iterator[Event]:
    for event in events(client, query, writer.note):
        match event["type"]:
            case "hello":
                if job_id is None:
                    writer.note("Watching; Ctrl-C ends it.")
                    continue
                # It may have ended before it was watched.
                job = client.get(job_id)
                if job["state"] in FINAL_STATES:
                    yield {"type": f"job.{job['state']}", "jobId": job_id} | {
                        name: job[name] for name in ("queue", "worker", "state", "attempt")
                    }
            case "gap":
                writer.note("Some events were missed here.")
            case _:
                yield event


def line_of(event: Event, writer: Writer) -> str:
    """An event in a line."""
    at = event.get("at") or ""
    kind = writer.painted(f"{event['type']:15}", _STYLES.get(event["type"], ""))
    named = (event.get(name) for name in ("jobId", "queue", "worker"))
    rest = (f"{name}={brief(value)}" for name, value in event.items() if _is_shown(name, value))
    state = event.get("state") or ""
    says = [error_text(event.get("error"))] if event.get("error") else []
    names = clean("  ".join(str(name) for name in named if name))
    told = [clean(at[11:23]), kind, names, writer.painted(clean(state), STATE_STYLES.get(state, "")), *rest, *says]
    return "  ".join(part for part in told if part)


def _is_shown(name: str, value: object) -> bool:
    return name not in _SHOWN_ELSEWHERE and value not in (None, "", [], {})
