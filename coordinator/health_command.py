"""The command `coordinator health`: asks a replica whether it lives.

Containers run it every few seconds, so nothing slow is imported.
"""

import sys
import urllib.request
from http.client import HTTPException

from coordinator.commands.endings import UNREACHABLE


def ask(url: str) -> int:
    """Ask the replica at this URL. Returns the exit code."""
    # A proxy of the environment is for the world outside.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}/health", timeout=3) as answer:
            sys.stdout.write(answer.read().decode() + "\n")
            return 0
    except (HTTPException, OSError, ValueError) as error:
        sys.stderr.write(f"coordinator: {url} does not answer: {error}\n")
        return UNREACHABLE
