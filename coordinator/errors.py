"""Every error a caller can meet, as one tree.

```
CoordinatorError
├── SettingsError            the start is refused: a setting is wrong or unsafe
└── Refusal                  the request is refused; HTTP status and code are the refusal's own
    ├── Invalid              422: a field is wrong (`errors` names it and the remedy)
    ├── NotFound             404
    ├── Conflict             409
    ├── TooMany              429: a queue or a caller is at its limit; later it may pass
    │   └── RateLimited      the caller's own rate, or its wrong tokens
    ├── StoreUnavailable     503: Redis is away, loading, full or read-only
    └── …
```

A refusal's `code` is the same word in Lua, in the log and in the problem+json answer (RFC 9457).
"""

from collections.abc import Sequence
from typing import ClassVar


class CoordinatorError(Exception):
    """The root; never raised itself."""


class SettingsError(CoordinatorError):
    """The start is refused. The message names the setting, its value and the remedy."""


class Refusal(CoordinatorError):
    """A request that is refused, with all that the caller needs to mend it."""

    status: ClassVar[int] = 400
    title: ClassVar[str] = "Bad request"

    def __init__(self, code: str, detail: str, **extra: object) -> None:
        """`extra` becomes members of the problem document beside `code` and `detail`."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.extra = extra


class BadRequest(Refusal):
    """The body cannot be read at all."""


class Unauthenticated(Refusal):
    """No token, or one we do not know."""

    status = 401
    title = "Unauthenticated"


class Forbidden(Refusal):
    """Known, but not allowed to do this."""

    status = 403
    title = "Forbidden"


class NotFound(Refusal):
    """Nothing has this id or name."""

    status = 404
    title = "Not found"


class Conflict(Refusal):
    """What is there now does not allow this."""

    status = 409
    title = "Conflict"


class TooLarge(Refusal):
    """A body or a field is over its limit."""

    status = 413
    title = "Payload too large"


class UnsupportedMediaType(Refusal):
    """The body is not declared as JSON."""

    status = 415
    title = "Unsupported media type"


class Invalid(Refusal):
    """A field is wrong. `path` is its name in the caller's own JSON, e.g. `backoff.base`."""

    status = 422
    title = "Invalid request"

    def __init__(self, path: str, message: str, code: str = "validation_error") -> None:
        """One wrong field; `message` ends with what would be right."""
        super().__init__(code, f"{path}: {message}", errors=[{"path": path, "message": message}])
        self.path = path
        self.message = message


class TooMany(Refusal):
    """A limit of ours is reached; the caller may repeat it after `retry_after_s`."""

    status = 429
    title = "Too many requests"

    def __init__(self, code: str, detail: str, retry_after_s: int, **extra: object) -> None:
        """`code` is `queue_full` or `rate_limited`."""
        super().__init__(code, detail, **extra)
        self.retry_after_s = retry_after_s


class RateLimited(TooMany):
    """One who comes too often, by `limit` a second or a minute, as `detail` says. Nothing is left of it."""

    def __init__(self, detail: str, limit: int, retry_after_s: int) -> None:
        """After `retry_after_s` one more passes."""
        super().__init__("rate_limited", detail, retry_after_s)
        self.limit = limit


NOT_CONFIRMED = "not_confirmed"
"""The code of a change that was made, and that neither the disk nor a replica has confirmed in time."""


class StoreUnavailable(Refusal):
    """Redis cannot take this now; the caller may repeat it after `retry_after_s`."""

    status = 503
    title = "Store unavailable"

    def __init__(self, code: str, detail: str, retry_after_s: int = 1) -> None:
        """`code` is `redis_unavailable`, `memory_limit`, `not_confirmed` or `key_missing`."""
        super().__init__(code, detail)
        self.retry_after_s = retry_after_s


def idempotency_mismatch() -> Invalid:
    """The refusal for a request under the `Idempotency-Key` of another one."""
    detail = "was used for another request within 24 hours; use a new key for a new request"
    return Invalid("Idempotency-Key", detail, code="idempotency_mismatch")


def joined(names: Sequence[str]) -> str:
    """`a, b or c`, for remedies that list what would be right."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
