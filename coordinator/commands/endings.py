"""How a command ends: its exit code, and where that is bad the one line that names the remedy."""

from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coordinator.sdk.sending import CoordinatorError

DONE = 0
REFUSED = 1
USAGE = 2
NOT_FOUND = 3
DENIED = 4
UNREACHABLE = 5
JOB_FAILED = 6
STILL_GOING = 7
INTERRUPTED = 130

_CODES: dict[int, int] = {
    0: UNREACHABLE,
    HTTPStatus.UNAUTHORIZED: DENIED,
    HTTPStatus.FORBIDDEN: DENIED,
    HTTPStatus.NOT_FOUND: NOT_FOUND,
    HTTPStatus.BAD_GATEWAY: UNREACHABLE,
    HTTPStatus.SERVICE_UNAVAILABLE: UNREACHABLE,
    HTTPStatus.GATEWAY_TIMEOUT: UNREACHABLE,
}

_REMEDIES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Give a token: coordinator login, COORDINATOR_TOKEN, or --token.",
    HTTPStatus.FORBIDDEN: "Use a token that may: coordinator profiles shows yours, coordinator token create makes one.",
}


class Ending(Exception):
    """A command ends here, with this code and this line."""

    def __init__(self, code: int, line: str = "") -> None:
        """Without a line all was said already."""
        super().__init__(line)
        self.code = code
        self.line = line


def code_of(error: "CoordinatorError") -> int:
    """The exit code of a command that was refused so."""
    return _CODES.get(error.status, REFUSED)


def line_of(error: "CoordinatorError", url: str) -> str:
    """What was refused, why, and what to do."""
    if error.status == 0:
        return (
            f"nobody answers at {url} ({error.detail}). "
            "Start one (coordinator dev), or say where it is: --url, COORDINATOR_URL, or coordinator login."
        )
    if error.code == "http_error":
        return f"{url} answered {error.status} as no coordinator does. Is it the address of one, without a path?"
    wrong = "; ".join(f"{fault['path']} {fault['message']}" for fault in error.errors if "path" in fault)
    told = (wrong or error.detail).rstrip()
    told = told if told.endswith((".", "!", "?")) else f"{told}."
    remedy = _REMEDIES.get(error.status, "")
    return f"{told} {remedy}".rstrip() + f" [{error.code}]"
