"""What can be said to the commands that are a replica, or look straight into its store. Nothing slow is imported."""

import argparse
from pathlib import Path
from typing import TypeAlias

from coordinator.domain.tokens import SCOPES
from coordinator.sdk.sources import SOURCES
from coordinator.settings import Settings, descriptions, field_types

DATA_DIR = Path(".coordinator")

OWN = (
    *("data_dir", "demo", "once", "url", "repair", "json"),
    *("act", "name", "scopes", "queues", "expires_in", "id"),
)
"""The flags that are no settings; the last ones are those of `token`."""

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name


def add_server_commands(commands: Commands) -> None:
    """Tell the parser of them."""
    dev = commands.add_parser("dev", help="try things: a store, a function and the coordinator in one process")
    dev.add_argument("--data-dir", type=Path, default=DATA_DIR, help=f"where the store keeps its file ({DATA_DIR})")
    dev.add_argument("--demo", action="store_true", help="run a few jobs and show them")
    dev.add_argument("--once", action="store_true", help="the same, then stop; exit code 0 if all went well")
    serve_command = commands.add_parser("serve", help="run one replica on your Redis")
    doctor = commands.add_parser(
        "doctor", help="look for what is wrong in a store, also in a live one; exit code 0 if nothing"
    )
    doctor.add_argument("--repair", action="store_true", help="mend what can be mended")
    doctor.add_argument("--json", action="store_true", help="one object per line, the summary last")
    replicas = commands.add_parser(
        "replicas", help="show who works on a store, and who leads what; exit code 1 if a shard is led by nobody"
    )
    replicas.add_argument("--json", action="store_true", help="as GET /replica has it")
    token = _add_token(commands)
    for act in token:
        act.add_argument("--json", action="store_true", help="as the API has it")
    for looking in (doctor, replicas, *token):
        where = f"of a running `dev`, if there is no Redis ({DATA_DIR})"
        looking.add_argument("--data-dir", type=Path, default=DATA_DIR, help=where)
    health = commands.add_parser("health", help="ask a replica whether it lives; exit code 0 if it does")
    health.add_argument("--url", help="where it is (COORDINATOR_URL, else http://host:port of the settings)")
    sdk = commands.add_parser("sdk", help="print the file that functions are made with")
    sdk.add_argument("language", choices=[source.language for source in SOURCES], help="types are those of js")
    types, words = field_types(), descriptions()
    for command in (dev, serve_command, doctor, replicas, *token, health):
        for name, kind in types.items():
            flag = f"--{name.replace('_', '-')}"
            default = Settings.__struct_defaults__[Settings.__struct_fields__.index(name)]
            shown = f"{words[name]} ({default if default != '' else 'none'})"
            command.add_argument(flag, metavar=kind.__name__.upper(), help=shown)


def _add_token(commands: Commands) -> list[argparse.ArgumentParser]:
    """Returns the parsers that take settings."""
    acts = commands.add_parser("token", help="make, list and revoke the tokens of the API").add_subparsers(
        dest="act", required=True, metavar="act"
    )
    create = acts.add_parser("create", help="make a token; it is printed, and never to be had again")
    create.add_argument("--name", required=True, help="what it is for")
    create.add_argument("--scopes", required=True, help=f"what it may do: {','.join(SCOPES)}, with commas")
    create.add_argument("--queues", default="", help="the queues that it is for, with commas, such as mail-*; else all")
    create.add_argument("--expires-in", help="how long it is valid, such as 90d; else until it is revoked")
    listed = acts.add_parser("list", help="show the tokens, without their texts")
    revoke = acts.add_parser("revoke", help="have a token open nothing more; all replicas know within a second")
    revoke.add_argument("id", help="as `list` shows it")
    return [create, listed, revoke]
