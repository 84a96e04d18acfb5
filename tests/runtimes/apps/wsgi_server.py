"""The workers on the server of the standard library."""

import os
import socketserver
from wsgiref.simple_server import WSGIServer, make_server

from tests.runtimes.apps.workers import workers


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


make_server("127.0.0.1", int(os.environ["PORT"]), workers.wsgi, Server).serve_forever()
