"""The command `coordinator serve`: one replica on a Redis that others may share. What is unsafe is refused first."""

import logging
import os
import socket

from msgspec.structs import replace

from coordinator.app import build_app
from coordinator.edges.limits import Limits
from coordinator.engine.replica import Replica
from coordinator.errors import SettingsError
from coordinator.safety import refuse_misplaced, refuse_open_door, refuse_unusable, refuse_weak_tokens
from coordinator.server import Application, Meanwhile, bind, serve
from coordinator.settings import Settings
from coordinator.store.open import check_server, first_contact, open_configured
from coordinator.telemetry.traces import open_tracing

log = logging.getLogger(__name__)


async def serve_shared(settings: Settings) -> int:
    """Serve until a signal. Returns the exit code. Raises `StoreUnavailable`, and `SettingsError` for the unsafe."""
    if not settings.redis_url:
        raise SettingsError(
            "no store: set COORDINATOR_REDIS_URL or --redis-url, e.g. redis://localhost:6379. "
            "To try things without one, run: coordinator dev"
        )
    if os.environ.get("COORDINATOR_TOKEN") and not settings.token_list:
        log.warning(
            "COORDINATOR_TOKEN is what clients send; the tokens that open this replica are COORDINATOR_TOKENS",
            extra={"event": "setup.token"},
        )
    refuse_unusable(settings)
    refuse_weak_tokens(settings)
    await refuse_misplaced(settings)
    store = open_configured(settings.redis_url, settings)
    with first_contact():
        await check_server(store, may_forget=settings.allow_volatile)
    await refuse_open_door(settings, store)
    listener = bind(settings)
    with first_contact():
        await store.agree()
    if settings.is_loopback and not settings.token_list:
        log.info(
            "there are no COORDINATOR_TOKENS: until a token is made, whatever runs on this machine may call",
            extra={"event": "setup.open"},
        )
    if not settings.is_loopback and not settings.keys:
        log.warning(
            "there are no COORDINATOR_KEYS: who can read Redis, or a copy of it, can read jobs and pose as others",
            extra={"event": "setup.unsealed"},
        )
    settings = replace(settings, port=listener.getsockname()[1])
    app = build_app(settings, store, tracing=open_tracing(os.environ))
    return await answer(app, app.state["replica"], settings, listener)


async def answer(
    app: Application, replica: Replica, settings: Settings, listener: socket.socket, meanwhile: Meanwhile | None = None
) -> int:
    """Serve until a signal, or until `meanwhile` is over. Returns the exit code."""
    limits, proxies = Limits(connections=settings.max_connections), settings.trusted_proxies
    return 0 if await serve(app, replica, listener, meanwhile, limits=limits, trusted_proxies=proxies) else 1
