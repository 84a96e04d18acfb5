"""A shop to look at: a coordinator with a token, and the function that it calls, which does what its name says."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.browser.conftest import ADMIN, LIMIT_MS
from tests.coordinator_process import coordinator_process

Json = dict[str, Any]

STACK = 'Traceback:\n  File "till.py", line 7, in charge\n<b>CardDeclined</b>: no funds'


@dataclass
class Shop:
    """Where it is, and what was done there."""

    url: str
    calls: list[Json] = field(default_factory=list)

    def ask(self, method: str, path: str, body: object = None, *, token: str = ADMIN) -> Any:
        """Ask the API. Raises `httpx.HTTPStatusError`."""
        headers = {"authorization": f"Bearer {token}"}
        answer = httpx.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=60, trust_env=False)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def job(self, worker: str, **fields: object) -> Json:
        """A new job."""
        made: Json = self.ask("POST", "/job", {"worker": worker} | fields)
        return made

    def ended(self, job: Json) -> Json:
        """The job, when it is final."""
        found: Json = self.ask("GET", f"/job/{job['id']}?wait=20s")
        return found

    def token(self, name: str, *scopes: str, **more: object) -> str:
        """The text of a new token."""
        return str(self.ask("POST", "/token", {"name": name, "scopes": scopes} | more)["token"])

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it does: for what the page has asked for and does not show."""
        end = time.monotonic() + LIMIT_MS / 1000
        while not holds():
            assert time.monotonic() < end, "it did not come to be"
            time.sleep(0.05)


@contextlib.contextmanager
def open_shop(directory: Path) -> Iterator[Shop]:
    """Serve both."""
    shop = Shop("")

    class Function(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            call = json.loads(self.rfile.read(int(self.headers["content-length"])))
            shop.calls.append(call)
            body = json.dumps(answer_to(call)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is to be written."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Function)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    function = f"http://127.0.0.1:{server.server_port}/"
    try:
        with coordinator_process(directory, tokens=ADMIN, worker_url=function) as shop.url:
            shop.ask("PUT", "/worker/charge", {"url": function})
            yield shop
    finally:
        server.shutdown()
        server.server_close()


def answer_to(call: Json) -> Json:
    """The receipt. `charge` succeeds if its args say so, `flaky` never does but may be tried again."""
    if call.get("ping"):
        return {"pong": True, "sdk": "tests 1", "workers": ["charge"]}
    if call["worker"] == "charge" and not call["args"].get("ok"):
        error = {"type": "CardDeclined", "message": f"no funds for order {call['args'].get('order')}", "stack": STACK}
        return {"status": "failure", "retryable": False, "error": error}
    if call["worker"] == "flaky":
        return {"status": "failure", "error": "not yet"}
    return {"status": "success", "result": {"greeting": "<i>hello</i>", "number": 1}}
