"""The commands that are a replica or look straight into a store: which one is meant, with which settings, how it ends.

What runs it is imported when its settings are known to be right: a server's libraries take a second to load.
"""
# ruff: noqa: PLC0415

import os
import sys
from collections.abc import Coroutine
from typing import Any

from msgspec.structs import replace

from coordinator import health_command
from coordinator.commands.endings import DONE, REFUSED, UNREACHABLE, USAGE
from coordinator.errors import CoordinatorError, SettingsError, StoreUnavailable
from coordinator.log import set_up_logging
from coordinator.sdk.sources import SOURCES
from coordinator.server_grammar import OWN
from coordinator.settings import Settings, read_settings

_ASKING = frozenset({"doctor", "replicas", "token"})
"""They ask a store and end; a replica that could not begin has failed."""


def run_command(options: dict[str, Any]) -> int:
    """Run a command. Returns the exit code: 0 is well, 1 an error, 2 a wrong setting, 5 that nobody could be asked."""
    command = options.pop("command")
    if command == "sdk":
        (source,) = (source for source in SOURCES if source.language == options["language"])
        sys.stdout.write(source.content.decode())
        return DONE
    own = {name: options.pop(name) for name in OWN if name in options}
    try:
        settings = read_settings(os.environ, options)
        set_up_logging(settings.log_level)
        if command == "health":
            is_here = options.get("host") is not None or options.get("port") is not None
            named = own["url"] or ("" if is_here else os.environ.get("COORDINATOR_URL"))
            return health_command.ask(named or replace(settings, public_url="").own_url)
        from coordinator.server import run

        return run(_begin(command, settings, own))
    except SettingsError as error:
        sys.stderr.write(f"coordinator: {error}\n")
        return USAGE
    except CoordinatorError as error:
        sys.stderr.write(f"coordinator: {error}{f' ({error.__cause__})' if error.__cause__ else ''}\n")
        return UNREACHABLE if isinstance(error, StoreUnavailable) and command in _ASKING else REFUSED


def _begin(command: str, settings: Settings, own: dict[str, Any]) -> Coroutine[None, None, int]:
    """What is to be run. Raises `SettingsError` if there is no store to look into."""
    if command == "serve":
        from coordinator.serve_command import serve_shared

        return serve_shared(settings)
    if command == "dev":
        from coordinator.dev_command import serve_own

        return serve_own(settings, own["data_dir"], tour=own["demo"] or own["once"], once=own["once"])
    from coordinator.store.open import find_store_url

    url = find_store_url(settings, own["data_dir"])
    if command == "token":
        from coordinator.token_command import administer

        return administer(url, settings, own, as_json=own["json"])
    if command == "replicas":
        from coordinator.replicas_command import show

        return show(url, settings, as_json=own["json"])
    from coordinator.doctor_command import examine

    return examine(url, settings, repair=own["repair"], as_json=own["json"])
