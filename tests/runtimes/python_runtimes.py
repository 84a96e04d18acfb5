"""Where Python functions run. The Lambda one is AWS' own runtime, before an imitation of its surroundings."""

import sys
from pathlib import Path

from tests.runtimes.runtime import APPS, Runtime

_ROOT = str(APPS.parent.parent.parent)
_ENVIRONMENT = {"PYTHONPATH": _ROOT, "PYTHONDONTWRITEBYTECODE": "1"}
_LAMBDA = Path(__file__).with_name("lambda_runtime_api.py")

RUNTIMES = [
    Runtime(
        "uvicorn",
        [
            sys.executable,
            "-m",
            "uvicorn",
            "tests.runtimes.apps.workers:workers.asgi",
            "--port",
            "{port}",
            "--lifespan",
            "on",
        ],
        _ENVIRONMENT,
    ),
    Runtime("wsgiref", [sys.executable, str(APPS / "wsgi_server.py")], _ENVIRONMENT),
    Runtime(
        "gcp-python",
        [
            *(sys.executable, "-m", "functions_framework", "--source", str(APPS / "gcp_app.py")),
            *("--target", "jobs", "--host", "127.0.0.1", "--port", "{port}"),
        ],
        _ENVIRONMENT,
        needs=["python:functions_framework"],
    ),
    Runtime(
        "lambda-python",
        [
            sys.executable,
            str(_LAMBDA),
            "{port}",
            sys.executable,
            "-m",
            "awslambdaric",
            "tests.runtimes.apps.lambda_app.handler",
        ],
        _ENVIRONMENT,
        needs=["python:awslambdaric"],
        is_serial=True,
    ),
]
