"""`completion`: what makes a shell complete the commands, printed for the shell to read."""

import sys
from argparse import Namespace

from coordinator.commands.endings import DONE


def run(options: Namespace) -> int:
    """Print it."""
    import shtab  # noqa: PLC0415 - of this command only

    sys.stdout.write(shtab.complete(options.parser, shell=options.shell) + "\n")
    return DONE
