"""Link the Lua scripts and bind them by name.

A script is one file of `lua/`, one atomic step. `-- @include lib/x` pulls in `lua/lib/x.lua` in place, once. The
bindings at its top are its signature: a line like

    local lease_ms = tonumber(ARGV[2])
    -- Rows from ARGV[3], each: id, attempt, nonce

makes `lease_ms` a keyword of the call, and `rows` a sequence of three-tuples; a missing, extra or misplaced input is an
error that names the script. KEYS[1] is always the root that routes the call to its slot. That of a shard is a name,
and never a key that exists. `-- flags: allow-oom` lets a script run when memory is full, and `-- acknowledged` says
that somebody takes its answer for a promise.

Why scripts and not Redis functions: functions are one library for the whole server, so in a rolling deploy the last
replica to start would replace it under the others. A script's name is its hash.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files

Argument = str | bytes | int | float
Row = Sequence[Argument]
Read = Callable[[str], str]
"""Gives the text of a source by its name, such as `lib/clock`. Raises `ScriptError` when there is none."""

_LUA = files("coordinator.store") / "lua"
_INCLUDE = re.compile(r"^-- @include (\S+)$")
_FLAGS = re.compile(r"^-- flags: (\S+)$", re.MULTILINE)
_ACKNOWLEDGED = re.compile(r"^-- acknowledged$", re.MULTILINE)
_ARGUMENT = re.compile(r"^local (\w+) = (?:tonumber\()?ARGV\[(\d+)\]", re.MULTILINE)
_ROWS = re.compile(r"^-- Rows from ARGV\[(\d+)\], each: (.+)$", re.MULTILINE)


def or_empty(value: int | str | None) -> int | str:
    """How a script is told that there is no such thing: an argument cannot be nil."""
    return "" if value is None else value


class ScriptError(Exception):
    """A script cannot be linked, or was called with the wrong inputs."""


class Script:
    """One linked script. `text` is what Redis runs and `sha` its name there."""

    def __init__(self, name: str, lines: list[tuple[str, str]], *, with_flags: bool) -> None:
        """`lines` are pairs of a line and its place in the sources."""
        body = "\n".join(line for line, _ in lines) + "\n"
        flags = _FLAGS.search(body)
        # In-process servers do not know the shebang; without it a full server refuses the script's first write.
        shebang = f"#!lua flags={flags[1]}\n" if flags and with_flags else "\n"
        self.name = name
        self.text = shebang + body
        # SHA-1 is what Redis names scripts by; nothing is protected by it.
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self.is_acknowledged = bool(_ACKNOWLEDGED.search(body))
        self.arguments = _arguments(name, body)
        rows = _ROWS.search(body)
        self.row = tuple(rows[2].split(", ")) if rows else ()
        if rows and int(rows[1]) != len(self.arguments) + 1:
            msg = f"{name}.lua: rows begin at ARGV[{rows[1]}], but {len(self.arguments)} arguments come before them"
            raise ScriptError(msg)
        self._places = [place for _, place in lines]

    def pack(self, rows: Sequence[Row], values: Mapping[str, Argument]) -> list[Argument]:
        """The ARGV of a call."""
        if len(values) != len(self.arguments) or any(name not in values for name in self.arguments):
            raise self._misfit("arguments", self.arguments, tuple(values))
        packed = [values[name] for name in self.arguments]
        for row in rows:
            if len(row) != len(self.row):
                raise self._misfit("rows", self.row, row)
            packed.extend(row)
        return packed

    def place(self, line: int) -> str:
        """The source file and line of a line of the linked text, as Redis numbers it in its errors."""
        return self._places[line - 2] if 2 <= line < len(self._places) + 2 else f"{self.name}.lua"

    def _misfit(self, what: str, wanted: Sequence[object], got: Sequence[object]) -> ScriptError:
        return ScriptError(f"{self.name}: {what} are {', '.join(map(str, wanted))}; got {', '.join(map(str, got))}")


def _arguments(name: str, body: str) -> tuple[str, ...]:
    found = {int(number): argument for argument, number in _ARGUMENT.findall(body)}
    if sorted(found) != list(range(1, len(found) + 1)):
        msg = f"{name}.lua: ARGV is bound as {sorted(found)}, which leaves a gap"
        raise ScriptError(msg)
    return tuple(found[number] for number in sorted(found))


def source(name: str) -> str:
    """The text of `lua/<name>.lua`."""
    file = _LUA / f"{name}.lua"
    if not file.is_file():
        raise ScriptError(f"{name}.lua does not exist")
    return file.read_text()


def _link(name: str, read: Read, seen: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """The lines of a file with its includes expanded; `seen` grows with every file that is in already."""
    lines: list[tuple[str, str]] = []
    included = [*seen, name]
    for number, line in enumerate(read(name).splitlines(), 1):
        include = _INCLUDE.match(line)
        if not include:
            lines.append((line, f"{name}.lua:{number}"))
        elif include[1] in seen:
            msg = f"{name}.lua:{number} includes {include[1]}, which includes it"
            raise ScriptError(msg)
        else:
            lines.extend(_link(include[1], read, tuple(included)))
    return lines


def _once(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Keep the first copy of each source line: a library that two others include is there once."""
    kept: dict[str, str] = {}
    for line, place in lines:
        kept.setdefault(place, line)
    return [(line, place) for place, line in kept.items()]


def names() -> list[str]:
    """All scripts, sorted."""
    return sorted(entry.name.removesuffix(".lua") for entry in _LUA.iterdir() if entry.name.endswith(".lua"))


@cache
def load(*, with_flags: bool = True, test_clock: bool = False, dev_clock: bool = False) -> Mapping[str, Script]:
    """Every script by name. With `test_clock` the shard's key `clock` is the time, for tests that need to set it.

    With `dev_clock` it is the server's, and what `advance_clock` has added to it.
    """
    return link(with_flags=with_flags, test_clock=test_clock, dev_clock=dev_clock, read=source)


def link(
    *, with_flags: bool = True, test_clock: bool = False, dev_clock: bool = False, read: Read
) -> Mapping[str, Script]:
    """The same, of the sources that `read` gives."""
    clock = "lib/clock_for_tests" if test_clock else "lib/clock_for_dev" if dev_clock else "lib/clock"

    def reading(name: str) -> str:
        return read(clock if name == "lib/clock" else name)

    return {name: Script(name, _once(_link(name, reading)), with_flags=with_flags) for name in names()}
