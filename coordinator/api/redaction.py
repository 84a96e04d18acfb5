"""What lists leave out: values of the fields that `REDACT` names, wherever they stand in what callers said."""

from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from coordinator.api.answers import AttemptAnswer, CallbackAnswer, JobAnswer, ScheduleAnswer
from coordinator.api.context import Request

REDACTED = "[redacted]"


class Redaction:
    """Takes values out of answers. Without names it gives back what it was given."""

    def __init__(self, names: str) -> None:
        """Names with commas between them; small and capital letters are the same."""
        self._names = frozenset(name.strip().lower() for name in names.split(",") if name.strip())

    def job(self, answer: JobAnswer) -> JobAnswer:
        """A job as a list shows it."""
        if not self._names:
            return answer
        return replace(
            answer,
            args=self._json(answer.args),
            meta=self._json(answer.meta),
            unique=self._handle(answer.unique),
            result=self._json(answer.result),
            last_error=self._json(answer.last_error),
            attempts=[self._attempt(attempt) for attempt in answer.attempts],
            on_success=self._callback(answer.on_success),
            on_failure=self._callback(answer.on_failure),
        )

    def schedule(self, answer: ScheduleAnswer) -> ScheduleAnswer:
        """A schedule as a list shows it."""
        if not self._names:
            return answer
        return replace(
            answer,
            args=self._json(answer.args),
            meta=self._json(answer.meta),
            on_success=self._callback(answer.on_success),
            on_failure=self._callback(answer.on_failure),
        )

    def _attempt(self, answer: AttemptAnswer) -> AttemptAnswer:
        return replace(answer, error=self._json(answer.error))

    def _callback(self, answer: CallbackAnswer | None) -> CallbackAnswer | None:
        return answer and replace(answer, args=self._json(answer.args))

    def _json(self, raw: Raw) -> Raw:
        value = msgspec.json.decode(raw)
        left = self._walk(value)
        # What holds none of these stays as it came, to the last digit of its numbers.
        return raw if left is value else Raw(msgspec.json.encode(left))

    def _handle(self, handle: str | None) -> str | None:
        """A handle that is made of fields: `[["args.card", …]]`."""
        try:
            made_of: Any = msgspec.json.decode(handle or "")
            named = [(path.lower().split("."), path, value) for path, value in made_of]
        except (msgspec.DecodeError, ValueError, TypeError, AttributeError):
            return handle
        left = [
            [path, REDACTED if self._names.intersection(steps) else self._walk(value)] for steps, path, value in named
        ]
        return handle if left == made_of else msgspec.json.encode(left).decode()

    def _walk(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """The value without what is named, itself if that is nothing."""
        if isinstance(value, dict):
            left = {name: REDACTED if name.lower() in self._names else self._walk(of) for name, of in value.items()}
            return value if all(left[name] is of for name, of in value.items()) else left
        if isinstance(value, list):
            items = [self._walk(item) for item in value]
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        return value


def redaction_of(request: Request) -> Redaction:
    """What the lists of this application leave out."""
    redaction: Redaction = request.app.state["redaction"]
    return redaction
