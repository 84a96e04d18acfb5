"""Logs: one JSON object per line where a machine reads them, one short line where a person does.

Each line tells of an event: its `event` is one of `EVENTS`, and what it is about stands in fields of the same names
everywhere. What is in `message` is for people, and may be said otherwise tomorrow.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime

EVENTS = {
    "replica.started": "a replica has joined the others",
    "replica.listening": "its door is open",
    "replica.stopped": "it has handed over and ended",
    "leader.changed": "it looks after other shards than before",
    "leader.failed": "it could not say that it goes on to",
    "store.away": "Redis cannot be reached",
    "store.back": "it can again",
    "store.full": "Redis is nearly full: new jobs are refused",
    "store.roomy": "it has room again",
    "claim.failed": "due jobs could not be taken, and will be soon",
    "poll.failed": "a shard could not be looked after, and will be soon",
    "lease.failed": "calls in flight may be taken for lost",
    "outbox.failed": "callbacks and batches are told later",
    "settle.unsafe": "what a call came to was stored, and not confirmed as `COORDINATOR_DURABILITY` wants it",
    "directory.stale": "the workers could not be read anew: the known ones are called",
    "job.dead": "a job will not be tried again",
    "job.unreadable": "a job was written by another version",
    "attempt.succeeded": "debug only: an attempt ended well",
    "attempt.failed": "debug only: an attempt ended otherwise",
    "call.unsent": "a call could not leave this replica, and is given back",
    "circuit.opened": "a worker fails again and again: its jobs wait",
    "circuit.closed": "it answers: its jobs are called again",
    "schedule.failed": "a schedule could not be fired, and is put off",
    "schedule.unreadable": "a schedule was written by another version",
    "auth.failed": "what a platform's door wants could not be had",
    "audit.done": "somebody has changed something",
    "audit.failed": "it stands in the log only, and not in `GET /audit`",
    "token.guessed": "many wrong tokens came from one address",
    "token.unreadable": "a token was written by another version",
    "token.unnoted": "debug only: when a token was used could not be kept",
    "key.unwritten": "which key seals could not be written",
    "traces.off": "the environment asks for traces, and there are none",
    "stream.refused": "who watched the events may not any more",
    "setup.open": "there are no tokens: whatever runs on this machine may call",
    "setup.token": "`COORDINATOR_TOKEN` is set, which is for clients, and `COORDINATOR_TOKENS` is not",
    "setup.unsealed": "there are no keys: what Redis holds can be read",
    "setup.unreplicated": "no replica of Redis follows, and `COORDINATOR_DURABILITY` wants one",
    "http.error": "a request met a fault of ours",
    "fault": "something else did; the line has the traceback",
}
"""What a line can tell of, and what that means."""

FIELDS = {
    "job": "id",
    "queue": "name",
    "worker": "name",
    "attempt": "number",
    "outcome": "what an attempt came to",
    "reason": "why a job ended",
    "error": "code, or type and message",
    "shard": "number",
    "led": "numbers of shards",
    "replica": "id",
    "schedule": "id",
    "token": "id",
    "path": "of a request",
    "address": "of a client, or where the door is",
    "failures": "in a row",
    "used": "memory of Redis",
    "maxmemory": "its limit",
}
"""What a line can have beside `at`, `level`, `logger`, `event`, `message` and `exception`."""

_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.DEBUG: "\x1b[2m"}
_PLAIN = "\x1b[0m"

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """`{"at", "level", "logger", "message", …}`; what was given as `extra` stands beside these."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback is one of its fields."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in record.__dict__.items() if name not in _OWN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TerminalLines(logging.Formatter):
    """`12:00:00 warning  message (name=value)`; the event is for machines."""

    def __init__(self, *, is_coloured: bool = False) -> None:
        """With colour a level is seen before it is read."""
        super().__init__()
        self._is_coloured = is_coloured

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it."""
        hidden = _OWN | {"event"}
        extra = ", ".join(f"{name}={value}" for name, value in record.__dict__.items() if name not in hidden)
        clock = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        level = f"{record.levelname.lower():8}"
        if self._is_coloured and record.levelno in _COLOURS:
            level = f"{_COLOURS[record.levelno]}{level}{_PLAIN}"
        line = f"{clock} {level} {record.getMessage()}{f' ({extra})' if extra else ''}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(level: str) -> None:
    """Log to stderr, in the form that fits who reads it."""
    handler = logging.StreamHandler(sys.stderr)
    # https://no-color.org
    coloured = TerminalLines(is_coloured="NO_COLOR" not in os.environ)
    handler.setFormatter(coloured if sys.stderr.isatty() else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # One line per request or call would drown what matters; and botocore's hold the tokens that it signs.
    for name in ("httpx", "httpcore", "uvicorn.error", "aiohttp.access", "botocore", "google.auth", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
