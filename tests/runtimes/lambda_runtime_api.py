"""What stands before and behind a Lambda function at AWS: a function URL, and the API that its events come from.

    python lambda_runtime_api.py <port> <command of the runtime>...

HTTP on the port becomes events of payload format 2.0, one at a time, as one execution environment gets them. The
command is started with `AWS_LAMBDA_RUNTIME_API` in its environment.
"""

import base64
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_INVOCATIONS = "/2018-06-01/runtime/invocation"
_numbers = itertools.count(1)
_events = queue.Queue()
_answers = {}


class FunctionURL(BaseHTTPRequestHandler):
    """Takes HTTP, and answers as the function says."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        number, answers = str(next(_numbers)), queue.Queue()
        _answers[number] = answers
        _events.put((number, self._event(body)))
        answer = answers.get()
        headers = {"content-type": "application/json"}
        status, told = 502, json.dumps(answer).encode()
        if "statusCode" in answer:
            status, headers, told = answer["statusCode"], answer["headers"], answer["body"].encode()
            told = base64.b64decode(told) if answer.get("isBase64Encoded") else told
        self.send_response(status)
        for name, value in (headers | {"content-length": str(len(told))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = answer  # noqa: N815 - as the server calls them

    def _event(self, body):
        path, _, query = self.path.partition("?")
        http = {"method": self.command, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"}
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "requestContext": {"http": http, "stage": "$default", "domainName": "x.lambda-url.us-east-1.on.aws"},
            # AWS encodes what is no text; both have to be understood.
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }

    def log_message(self, *_):
        pass


class RuntimeAPI(BaseHTTPRequestHandler):
    """Hands out events, and takes what became of them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        number, event = _events.get()
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": number,
            "Lambda-Runtime-Deadline-Ms": "4102444800000",
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:jobs",
            "Lambda-Runtime-Trace-Id": "Root=1-0-0",
        }
        self._send(200, json.dumps(event).encode(), headers)

    def do_POST(self):
        body = b"".join(self._chunks())
        if self.path.startswith(_INVOCATIONS):
            number = self.path.removeprefix(_INVOCATIONS).split("/")[1]
            _answers.pop(number).put(json.loads(body))
        self._send(202, b"", {})

    def _chunks(self):
        if self.headers.get("transfer-encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("content-length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _send(self, status, body, headers):
        self.send_response(status)
        for name, value in (headers | {"content-length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(port, command):
    """Returns when the runtime ends."""
    api = ThreadingHTTPServer(("127.0.0.1", 0), RuntimeAPI)
    url = ThreadingHTTPServer(("127.0.0.1", port), FunctionURL)
    for server in (api, url):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    given = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}", "AWS_LAMBDA_FUNCTION_NAME": "jobs"}
    given |= {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST"}
    runtime = subprocess.Popen(command, env=os.environ | given)
    try:
        return runtime.wait()
    finally:
        runtime.kill()


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
