"""The files of this folder that are copied into functions: served by the API, printed by the command line."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """`language` is what the command line calls it, `name` how it is served, `place` the file here."""

    language: str
    name: str
    place: str
    media_type: str

    @cached_property
    def content(self) -> bytes:
        """The file as it is."""
        return (Path(__file__).parent / self.place).read_bytes()


SOURCES = [
    Source("js", "coordinator.mjs", "coordinator.mjs", "text/javascript"),
    Source("types", "coordinator.d.mts", "coordinator.d.mts", "application/typescript"),
    # In the folder that it is copied into, `functions` would tell nothing.
    Source("python", "coordinator_functions.py", "functions.py", "text/x-python"),
]
