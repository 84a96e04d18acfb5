"""Runs a command of a family, and has it end well, whatever happens: one line, and the exit code that says it."""

import importlib
import os
import sys
from argparse import Namespace

from coordinator.commands.endings import INTERRUPTED, REFUSED, USAGE, Ending, code_of, line_of
from coordinator.commands.profiles import place_of
from coordinator.commands.writing import Writer
from coordinator.errors import CoordinatorError as OurError
from coordinator.sdk.client import CoordinatorError


def run(options: Namespace) -> int:
    """Run what was asked for. Returns the exit code."""
    writer = Writer.of(options)
    try:
        code: int = importlib.import_module(f"coordinator.commands.{options.family}").run(options)
        sys.stdout.flush()
    except Ending as ending:
        if ending.line:
            writer.wrong(ending.line)
        return ending.code
    except CoordinatorError as error:
        line = line_of(error, place_of(options).url)
        writer.wrong(line.replace("?queue=", "--queue") if hasattr(options, "queue") else line)
        return code_of(error)
    except OurError as error:
        # A duration or an instant that was read here.
        writer.wrong(str(error))
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read it has seen enough. Python would complain when it closes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        writer.wrong(f"{error.filename or 'a file'}: {error.strerror or error}.")
        return REFUSED
    return code
