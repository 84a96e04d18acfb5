"""`completion`: what makes a shell complete the commands, printed for the shell to read."""

import sys
from argparse import ArgumentParser, Namespace

from coordinator.commands.endings import DONE
from coordinator.commands.grammar import DEFAULT_ACTS
from coordinator.commands.grammar_parts import act_of


def run(options: Namespace) -> int:
    """Print it."""
    import shtab  # noqa: PLC0415 - of this command only

    for command, act in DEFAULT_ACTS.items():
        _lend_flags(options.commands.choices[command], act)
    sys.stdout.write(shtab.complete(options.parser, shell=options.shell) + "\n")
    return DONE


def _lend_flags(parser: ArgumentParser, act: str) -> None:
    """Have a command take the flags of the act that is meant where none is named, as shells see it."""
    for action in act_of(parser, act)._actions:  # noqa: SLF001 - it has no other way to be asked
        if action.option_strings and "--help" not in action.option_strings:
            parser._add_action(action)  # noqa: SLF001
