"""Logs: one JSON object per line where a machine reads them, one short line where a person does."""

import json
import logging
import sys
from datetime import UTC, datetime

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
    """`12:00:00 warning  message (name=value)`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it."""
        extra = ", ".join(f"{name}={value}" for name, value in record.__dict__.items() if name not in _OWN)
        clock = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        line = f"{clock} {record.levelname.lower():8} {record.getMessage()}{f' ({extra})' if extra else ''}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(level: str) -> None:
    """Log to stderr, in the form that fits who reads it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TerminalLines() if sys.stderr.isatty() else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # One line per request or call would drown what matters; and botocore's hold the tokens that it signs.
    for name in ("httpx", "httpcore", "uvicorn.error", "aiohttp.access", "botocore", "google.auth", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
