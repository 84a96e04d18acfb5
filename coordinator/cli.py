"""The command line: what is a replica or looks into its store, and what talks to one over its API."""

import argparse
import sys
from collections.abc import Sequence

from coordinator import __version__
from coordinator.commands.grammar import add_commands, arranged
from coordinator.server_grammar import add_server_commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code."""
    parser, commands = build_parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(arranged(given, commands))
    # What runs it is imported when it is needed: a server's libraries take a second, and a client needs none of them.
    if hasattr(options, "family"):
        from coordinator.commands.running import run  # noqa: PLC0415

        options.parser, options.commands = parser, commands
        return run(options)
    from coordinator.server_commands import run_command  # noqa: PLC0415

    return run_command(vars(options))


def build_parser() -> tuple[argparse.ArgumentParser, "argparse._SubParsersAction[argparse.ArgumentParser]"]:
    """The whole grammar; and the commands in it."""
    parser = argparse.ArgumentParser("coordinator", description="A job queue that calls your functions over HTTP.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    add_server_commands(commands)
    add_commands(commands)
    return parser, commands
