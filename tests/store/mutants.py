"""The mutants of mutants.txt: small faults of the Lua scripts, and a way to link the scripts with one of them.

As a plugin of pytest (`-p tests.store.mutants`) this runs tests with the mutant that `STORE_MUTANT` counts to, from 0.
"""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hypothesis import Phase, settings

from coordinator.store import connection
from coordinator.store.scripts import Read, link, source

MACHINE = "the machine"


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in the source `file`, and becomes `new`; `killer` is the machine, or a test of this folder.

    One that `is_starred` is tried with every change of the code.
    """

    file: str
    breaks: str
    old: str
    new: str
    killer: str
    is_starred: bool

    def read(self) -> Read:
        """Reads sources, with this fault in its own. Raises `ValueError` when the text is not there once."""
        text = source(self.file)
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}.lua has this {text.count(self.old)} times, not once: {self.old}")
        mutated = text.replace(self.old, self.new)
        return lambda name: mutated if name == self.file else source(name)


def _mutant(block: str) -> Mutant:
    head, *lines = block.splitlines()
    file, _, breaks = head.removeprefix("* ").partition(": ")
    told = {sign: "\n".join(line[2:] for line in lines if line[0] == sign) for sign in "-+!"}
    if not breaks or not told["-"] or any(line[:2] not in {"- ", "+ ", "! "} for line in lines):
        raise ValueError(f"this is no mutant: {block}")
    return Mutant(file, breaks, told["-"], told["+"], told["!"] or MACHINE, head.startswith("* "))


MUTANTS = [
    _mutant(block)
    for block in Path(__file__).with_suffix(".txt").read_text().strip().split("\n\n")
    if not block.startswith("#")
]


def pytest_configure() -> None:
    """Link all scripts with the fault, from the first connection on. Properties stop at what they find first."""
    mutant = MUTANTS[int(os.environ["STORE_MUTANT"])]
    vars(connection)["load"] = partial(link, read=mutant.read())
    settings.register_profile("mutant", phases=[Phase.generate], derandomize=True, database=None)
    settings.load_profile("mutant")
