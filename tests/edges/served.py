"""A coordinator with low limits as a process: `python -m tests.edges.served <h11|httptools> <field=value>…`.

It says its port when it listens. The store is in the process, if `url` does not say where; `tokens` and
`trusted_proxies` may be given too.
"""

import asyncio
import sys
from dataclasses import replace
from typing import Any

from coordinator.api import rate_limit
from coordinator.app import build_app
from coordinator.edges.limits import Limits
from coordinator.server import bind, serve
from coordinator.settings import Settings
from coordinator.store.open import IN_PROCESS_URL, open_store


async def main(given: dict[str, Any]) -> None:
    url, tokens = given.pop("url", IN_PROCESS_URL), given.pop("tokens", "")
    trusted_proxies = given.pop("trusted_proxies", "")
    settings = Settings(port=0, worker_url="http://127.0.0.1:9/", shutdown_grace_ms=0, tokens=tokens)
    lowered: dict[str, Any] = {name: float(value) for name, value in given.items()}
    limits = replace(Limits(), **lowered)
    # Who asks all that can be asked shows wrong tokens by the hundred; that they are counted is tried elsewhere.
    rate_limit.WRONG_TOKENS_MOST = sys.maxsize
    listener = bind(settings)
    app = build_app(settings, open_store(url, shards=1))

    async def say() -> None:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

    await serve(app, app.state["replica"], listener, say, limits=limits, trusted_proxies=trusted_proxies)


if __name__ == "__main__":
    parser, *given = sys.argv[1:]
    if parser == "h11":
        sys.modules["httptools"] = None
    asyncio.run(main({name: value for name, _, value in (one.partition("=") for one in given)}))
