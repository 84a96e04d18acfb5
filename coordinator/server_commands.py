"""The commands that are a replica or look straight into a store: dev, serve, doctor, replicas, token, health, sdk."""

import asyncio
import json
import logging
import os
import socket
import sys
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from coordinator import __version__, demo, token_command
from coordinator.api.setting_answers import roster_answer
from coordinator.app import build_app
from coordinator.calling.egress_allow import DEVELOPMENT
from coordinator.commands.endings import UNREACHABLE
from coordinator.doctor import examine
from coordinator.edges.limits import Limits
from coordinator.engine.replica import Replica
from coordinator.errors import CoordinatorError, SettingsError, StoreUnavailable
from coordinator.log import set_up_logging
from coordinator.safety import refuse_misplaced, refuse_open_door, refuse_unusable, refuse_weak_tokens
from coordinator.sdk.sources import SOURCES
from coordinator.server import Application, Meanwhile, bind, run, serve
from coordinator.server_grammar import OWN
from coordinator.settings import Settings, read_settings
from coordinator.store.embedded import EmbeddedServer, find_program
from coordinator.store.open import (
    IN_PROCESS_URL,
    check_server,
    find_store_url,
    first_contact,
    open_as_written,
    open_configured,
    without_password,
)
from coordinator.telemetry.traces import open_tracing

log = logging.getLogger(__name__)

_TRY = """\
  Try, in another terminal:
    curl --json '{{"worker": "hello", "args": {{"name": "you"}}}}' {url}/job
    curl {url}/job/<id>
    curl {url}/queue
"""


_ASKING = frozenset({"doctor", "replicas", "token"})
"""They ask a store and end; a replica that could not begin has failed."""


def run_command(options: dict[str, Any]) -> int:
    """Run a command. Returns the exit code: 0 is well, 1 an error, 2 a wrong setting, 5 that nobody could be asked."""
    command = options.pop("command")
    if command == "sdk":
        (source,) = (source for source in SOURCES if source.language == options["language"])
        sys.stdout.write(source.content.decode())
        return 0
    own = {name: options.pop(name) for name in OWN if name in options}
    try:
        settings = read_settings(os.environ, options)
        set_up_logging(settings.log_level)
        if command == "health":
            is_here = options.get("host") is not None or options.get("port") is not None
            named = own["url"] or ("" if is_here else os.environ.get("COORDINATOR_URL"))
            return _health(named or replace(settings, public_url="").own_url)
        if command == "dev":
            return run(_dev(settings, own["data_dir"], tour=own["demo"] or own["once"], once=own["once"]))
        if command == "doctor":
            return run(_doctor(settings, own["data_dir"], repair=own["repair"], as_json=own["json"]))
        if command == "token":
            url = find_store_url(settings, own["data_dir"])
            return run(token_command.administer(url, settings, own, as_json=own["json"]))
        if command == "replicas":
            return run(_replicas(settings, own["data_dir"], as_json=own["json"]))
        return run(_serve(settings))
    except SettingsError as error:
        sys.stderr.write(f"coordinator: {error}\n")
        return 2
    except CoordinatorError as error:
        sys.stderr.write(f"coordinator: {error}{f' ({error.__cause__})' if error.__cause__ else ''}\n")
        return UNREACHABLE if isinstance(error, StoreUnavailable) and command in _ASKING else 1


async def _serve(settings: Settings) -> int:
    """One replica on a Redis that others may share. Raises `SettingsError` for what would be unsafe."""
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
    return await _answer(app, app.state["replica"], settings, listener)


async def _answer(
    app: Application, replica: Replica, settings: Settings, listener: socket.socket, meanwhile: Meanwhile | None = None
) -> int:
    """Serve until a signal, or until `meanwhile` is over. Returns the exit code."""
    limits, proxies = Limits(connections=settings.max_connections), settings.trusted_proxies
    return 0 if await serve(app, replica, listener, meanwhile, limits=limits, trusted_proxies=proxies) else 1


async def _doctor(settings: Settings, data_dir: Path, *, repair: bool, as_json: bool) -> int:
    """Look through a store, also one that replicas work on."""
    return await examine(find_store_url(settings, data_dir), settings, repair=repair, as_json=as_json)


async def _replicas(settings: Settings, data_dir: Path, *, as_json: bool) -> int:
    """Who works on a store, and who leads what. Returns 1 if a shard is led by nobody."""
    store = await open_as_written(find_store_url(settings, data_dir), settings)
    try:
        roster = await store.leadership.roster()
    finally:
        await store.close()
    if as_json:
        sys.stdout.write(json.dumps(roster_answer(roster, store.shards)) + "\n")
        return 1 if roster.unled else 0
    width = max([len("REPLICA"), *(len(member.id) for member in roster.members)])
    lines = [("REPLICA", "LAST HEARD", "LEADS")]
    for member in roster.members:
        silent_s = max(0, roster.now - member.said_at) / 1000
        lines.append((member.id, f"{silent_s:.1f} s ago", " ".join(map(str, member.leads)) or "no shard"))
    sys.stdout.write("".join(f"{name:{width}}  {heard:10}  {leads}\n" for name, heard, leads in lines))
    if roster.unled:
        sys.stdout.write(f"led by nobody: {' '.join(map(str, roster.unled))}\n")
    return 1 if roster.unled else 0


async def _dev(settings: Settings, data_dir: Path, *, tour: bool, once: bool) -> int:
    """One replica with a store and a function of its own, to try things."""
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

        return await _answer(app, app.state["replica"], settings, listener, meanwhile)
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


def _health(url: str) -> int:
    """Ask a replica whether it lives."""
    # A proxy of the environment is for the world outside.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}/health", timeout=3) as answer:
            sys.stdout.write(answer.read().decode() + "\n")
            return 0
    except (HTTPException, OSError, ValueError) as error:
        sys.stderr.write(f"coordinator: {url} does not answer: {error}\n")
        return UNREACHABLE
