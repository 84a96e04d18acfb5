"""The command `coordinator dev`: a replica with a store and a function of its own, to try things."""

import asyncio
import os
import sys
from pathlib import Path

from msgspec.structs import replace

from coordinator import __version__, demo
from coordinator.app import build_app
from coordinator.calling.egress_allow import DEVELOPMENT
from coordinator.safety import refuse_misplaced, refuse_open_door, refuse_unusable, refuse_weak_tokens
from coordinator.serve_command import answer
from coordinator.server import bind
from coordinator.settings import Settings
from coordinator.store.embedded import EmbeddedServer, find_program
from coordinator.store.open import IN_PROCESS_URL, first_contact, open_configured, without_password
from coordinator.telemetry.traces import open_tracing

_TRY = """\
  Try, in another terminal:
    curl --json '{{"worker": "hello", "args": {{"name": "you"}}}}' {url}/job
    curl {url}/job/<id>
    curl {url}/queue
"""


async def serve_own(settings: Settings, data_dir: Path, *, tour: bool, once: bool) -> int:
    """Serve until a signal, or with `once` until the tour is over. Returns and raises what `serve_shared` does."""
    refuse_unusable(settings)
    if not settings.is_loopback:
        refuse_weak_tokens(settings)
    settings = replace(settings, egress_allow=f"{settings.egress_allow}, {DEVELOPMENT}")
    await refuse_misplaced(settings)
    listener = bind(settings)
    settings = replace(settings, port=listener.getsockname()[1])
    if not settings.worker_url:
        settings = replace(settings, worker_url=f"{replace(settings, public_url='').own_url}{demo.PATH}")
    embedded, url, said = _choose_store(settings, data_dir)
    try:
        if embedded:
            embedded.start()
        store = open_configured(url, settings, dev_clock=True)
        with first_contact():
            await store.agree()
        await refuse_open_door(settings, store)
        tracing = open_tracing(os.environ)
        app = build_app(settings, store, demo=demo.Demo(), takes_literal_secrets=True, tracing=tracing)
        token = next((token for token in settings.token_list if not token.startswith("sha256:")), "")

        async def meanwhile() -> None:
            sys.stdout.write(f"\n  coordinator {__version__} at {settings.own_url}\n  store:    {said}\n")
            sys.stdout.write(f"  function: {settings.worker_url}\n  look at:  {settings.own_url}/ui\n\n")
            sys.stdout.write(f"{_TRY.format(url=settings.own_url)}\n")
            sys.stdout.flush()
            if tour:
                await demo.Tour(replace(settings, public_url="").own_url, token).run()
            if not once:
                await asyncio.Event().wait()

        return await answer(app, app.state["replica"], settings, listener, meanwhile)
    finally:
        if embedded:
            embedded.stop()


def _choose_store(settings: Settings, data_dir: Path) -> tuple[EmbeddedServer | None, str, str]:
    """A server to start, if any, the URL to use, and what to say of it."""
    if settings.redis_url:
        return None, settings.redis_url, f"Redis at {without_password(settings.redis_url)}"
    program = find_program()
    if program is None:
        return None, IN_PROCESS_URL, "in this process, kept in memory only (no Redis or Valkey server was found)"
    server = EmbeddedServer(program, data_dir.resolve())
    return server, server.url, f"{program.name} as a child process, kept in {data_dir}; redis-cli -s {server.url[7:]}"
