"""What a client is told whose request never reaches the application, as `application/problem+json` like the rest."""

import json
from dataclasses import dataclass
from http import HTTPStatus

from coordinator.edges.headers import completed
from coordinator.edges.limits import HEAD_BYTES, HEAD_FIELDS


@dataclass(frozen=True)
class Refused:
    """A refusal that is always the same."""

    status: int
    code: str
    detail: str
    retry_after_s: int | None = None

    @property
    def body(self) -> bytes:
        """The problem document."""
        title = HTTPStatus(self.status).phrase.capitalize()
        fields = {"type": "about:blank", "title": title, "status": self.status, "code": self.code}
        return json.dumps(fields | {"detail": self.detail}).encode()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Those that are its own."""
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(self.body))]
        return headers if self.retry_after_s is None else [*headers, (b"retry-after", b"%d" % self.retry_after_s)]

    @property
    def raw(self) -> bytes:
        """The whole answer as it goes over a connection that is closed after it."""
        phrase = HTTPStatus(self.status).phrase.encode()
        headers = completed([*self.headers, (b"connection", b"close")])
        fields = b"".join(b"%s: %s\r\n" % header for header in headers)
        return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (self.status, phrase, fields, self.body)


BROKEN = Refused(400, "bad_request", "This cannot be read as a request of HTTP 1.1.")
TWO_LENGTHS = Refused(
    400, "bad_request", "The length of the body is told twice; send one Content-Length or Transfer-Encoding: chunked."
)
BODY_TOO_SLOW = Refused(408, "body_too_slow", "The body did not come in time; send the request again.")
HEADERS_TOO_LARGE = Refused(
    431, "headers_too_large", f"A request's headers may have {HEAD_BYTES} bytes and {HEAD_FIELDS} fields."
)
OVERLOADED = Refused(503, "overloaded", "This replica has too many connections; ask another, or later.", 1)
