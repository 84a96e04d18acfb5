"""`top`: throughput, queues, what is oldest and what failed last, on a full screen that keeps up; q quits."""

import json
import select
import sys
import termios
import tty
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from coordinator.commands.endings import DENIED, DONE, Ending, code_of
from coordinator.commands.profiles import connect, place_of
from coordinator.commands.top_frame import Looked, frame
from coordinator.commands.words import clean
from coordinator.commands.writing import Writer
from coordinator.sdk.client import CoordinatorError
from coordinator.sdk.for_commands import CommandClient

_GROUPS = 50
"""Of dead jobs, looked at for the last that failed."""


def run(options: Namespace) -> int:
    """Watch until q, or show one frame where nobody can press it."""
    writer, place = Writer.of(options), place_of(options)
    with connect(place) as client:
        looked = _look(client, options)
        if writer.as_json:
            writer.line(json.dumps({"stat": looked.stat, "dead": looked.dead}))
            return DONE
        is_seen = sys.stdout.isatty() and sys.stdin.isatty()
        if options.once or not is_seen:
            screen = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
            screen.print(frame(looked, place.url, screen.width, is_live=False))
            return DONE
        screen = Console(highlight=False)
        live = Live(frame(looked, place.url, screen.width), console=screen, screen=True, auto_refresh=False)
        with _keys():
            # As a context it would leave the screen behind, where an interrupt comes while it begins.
            try:
                live.start(refresh=True)
                while not _is_quit(options.interval):
                    looked = _again(client, options, looked)
                    live.update(frame(looked, place.url, screen.width), refresh=True)
            finally:
                live.stop()
    return DONE


def _look(client: CommandClient, options: Namespace) -> Looked:
    queue = {"queue": options.queue} if options.queue else {}
    stat = client.request("GET", "/stat", query={"minutes": options.minutes} | queue)
    try:
        dead = client.request("GET", "/dead", query={"limit": _GROUPS} | queue)
    except CoordinatorError as error:
        # A token for some queues sees the dead of one that it names.
        if code_of(error) != DENIED:
            raise
        dead = {"groups": []}
    return Looked(stat, dead)


def _again(client: CommandClient, options: Namespace, before: Looked) -> Looked:
    """What is there now; or what was before, with why it cannot be told. Raises `Ending` where that will not pass."""
    try:
        return _look(client, options)
    except CoordinatorError as error:
        if error.status in {401, 403}:
            raise Ending(code_of(error), error.detail) from None
        return before._replace(problem=clean(error.detail))


@contextmanager
def _keys() -> Iterator[None]:
    """Keys come as they are pressed, and are not shown."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _is_quit(seconds: float) -> bool:
    """Whether q was pressed within so many seconds; any other key ends the wait."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ready) and sys.stdin.read(1).lower() in {"q", "\x03", ""}
