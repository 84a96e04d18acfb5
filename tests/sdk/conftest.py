"""A small HTTP server that answers as it is told, and remembers what it was asked; and a real coordinator."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.coordinator_process import coordinator_process


class Server:
    """`answers` are given in their order, then `otherwise`: a status, JSON, and headers; None drops the connection."""

    def __init__(self):
        self.requests = []
        self.answers = []
        self.otherwise = (200, {}, {})
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.requests.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
                answer = outer.answers.pop(0) if outer.answers else outer.otherwise
                if answer is None:
                    self.close_connection = True
                    return
                status, told, headers = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(told if isinstance(told, bytes) else json.dumps(told).encode())

            do_GET = do_POST = answer  # noqa: N815 - as the server calls them

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def bodies(self):
        return [(path, body) for _, path, _, body in self.requests]

    def start(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    served = Server()
    served.start()
    yield served
    served.stop()


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    for name in ("COORDINATOR_URL", "COORDINATOR_TOKEN", "COORDINATOR_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def coordinator_url(tmp_path_factory):
    with coordinator_process(tmp_path_factory.mktemp("store") / "data") as url:
        yield url
