"""`/openapi.json` tells the truth: schemathesis asks all that it allows, and what it does not, of a running server.

`PROVE_LONG=1` asks more, and each bound of each field by itself.
"""

import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import httpx

from coordinator.store.embedded import bundled_program
from tests.edges.conftest import served
from tests.fuzz.conftest import TOKEN, examples

NOT_CHECKED = {
    # No schema can say what a text means (durations, instants, cron), which fields exclude each other, and which
    # workers there are: of what fits it, much is refused with 422.
    "positive_data_acceptance",
    # 503 is described, for a change that no replica confirmed; 500 is not, so `status_code_conformance` finds it.
    "not_a_server_error",
    # OPTIONS is the framework's, which sees two routes where one path has GET and POST.
    "allow_header_conformance",
}


def ask_all(port: int, directory: Path, token: str, *options: str, but: Collection[str] = NOT_CHECKED) -> None:
    """Have everything asked with `options`. Raises an error that shows what was found."""
    url, described = f"http://127.0.0.1:{port}", directory / "openapi.json"
    described.write_bytes(httpx.get(f"{url}/openapi.json", headers=bearer(token), trust_env=False).content)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(described), "--url", url, "--no-color", "--seed", "6"),
        *("--phases", examples("fuzzing", "coverage,fuzzing"), "--generation-database", "none", "--warnings", "off"),
        *("--exclude-operation-id", "watch_events"),  # It ends with the connection, and schemathesis waits for the end.
        *("--exclude-checks", ",".join(sorted(but)), "--continue-on-failure", *options),
    ]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " generated" in done.stdout


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def test_a_server_with_a_token_does_what_is_described(server_url: Callable[[str], str], tmp_path: Path):
    url = server_url("valkey" if bundled_program() else "redis")
    with served("httptools", url=url, tokens=TOKEN) as port:
        options = ["-H", f"Authorization: Bearer {TOKEN}", "--max-examples", examples("4", "50")]
        ask_all(port, tmp_path, TOKEN, *options)


def test_a_server_without_a_token_does_what_is_described(tmp_path: Path):
    with served("h11") as port:
        # The description asks for a token, which nobody has to have here.
        options = ["--generation-with-security-parameters", "false", "--max-examples", examples("4", "50")]
        ask_all(port, tmp_path, "", *options, but=NOT_CHECKED | {"ignored_auth"})


def test_a_caller_without_the_token_is_answered_as_described(tmp_path: Path):
    with served("httptools", tokens=TOKEN) as port:
        ask_all(port, tmp_path, TOKEN, "--max-examples", examples("1", "10"))
