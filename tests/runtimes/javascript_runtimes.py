"""Where JavaScript functions run. All of it comes from the packages of package.json; `npm ci` here installs them."""

import shutil
from pathlib import Path

from tests.runtimes.runtime import Runtime

MODULES = Path(__file__).parent / "node_modules"
NODE = shutil.which("node") or "node"


def program(pattern: str) -> str:
    """A program that comes in a package of its own for each kind of machine.

    What stands in `.bin` is a script that starts it: it would outlive the script that is ended.
    """
    found = sorted(MODULES.glob(pattern))
    return str(found[0] if found else MODULES / pattern)


DENO = program("@deno/*/deno")
BUN = program("@oven/*/bin/bun")
WORKERD = program("@cloudflare/workerd-*/bin/workerd")

RUNTIMES = [
    Runtime("node", [NODE, "node_http.mjs"], needs=[NODE]),
    Runtime("express", [NODE, "express.mjs"], needs=[NODE, str(MODULES / "express")]),
    Runtime("next-route", [NODE, "web_server.mjs", "next_route/route.mjs"], needs=[NODE]),
    Runtime("lambda-node", [NODE, "lambda_server.mjs", "lambda.mjs"], needs=[NODE]),
    Runtime(
        "gcp-node",
        [NODE, "gcp_server.mjs", "gcp.mjs", "jobs"],
        needs=[NODE, str(MODULES / "@google-cloud" / "functions-framework")],
    ),
    Runtime(
        "deno",
        [DENO, "run", "--no-prompt", "--no-lock", "--allow-net", "--allow-env", "deno.mjs"],
        {"DENO_NO_UPDATE_CHECK": "1"},
        needs=[DENO],
    ),
    Runtime("bun", [BUN, "run", "bun.mjs"], needs=[BUN]),
    Runtime(
        "workerd",
        [WORKERD, "serve", "workerd.capnp", "--socket-addr", "http=127.0.0.1:{port}"],
        needs=[WORKERD],
    ),
]
