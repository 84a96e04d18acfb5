"""The trace that a job belongs to: W3C Trace Context (https://www.w3.org/TR/trace-context-2/).

    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
                 version  trace id                     span id       flags
    tracestate: vendor=what it likes, other@system=…

What cannot be read is no error of whoever sends it: the standard has it ignored, as if it were not there.
"""

import re
from collections.abc import Sequence

import msgspec

Headers = tuple[tuple[str, str], ...]

STATE_LIMIT = 512
"""Characters; the least that whoever passes a state on has to pass."""
_MEMBERS_MOST = 32

_PARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_KEY = r"(?:[a-z][_0-9a-z*/-]{0,255}|[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13})"
_MEMBER = re.compile(rf"(?P<key>{_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_KNOWN_FLAGS = 0x03
"""Sampled, and a trace id that is random; what the others mean a later version says."""


class Trace(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A place in a trace: 32 hex digits and 16, flags of one byte, and the state of vendors as it came."""

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""

    def child(self, new_span_id: str) -> "Trace":
        """A span of the same trace."""
        return Trace(self.trace_id, new_span_id, self.flags, self.state)


def read_trace(parents: Sequence[str], states: Sequence[str]) -> Trace | None:
    """The trace that headers tell of, None if there is none that can be read. A state alone means nothing."""
    found = _PARENT.fullmatch(parents[0].strip(" \t")) if len(parents) == 1 else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    if not found["trace"].strip("0") or not found["span"].strip("0"):
        return None
    return Trace(found["trace"], found["span"], int(found["flags"], 16) & _KNOWN_FLAGS, _read_state(states))


def headers_of(trace: Trace) -> Headers:
    """How a function is told of it."""
    parent = ("traceparent", f"00-{trace.trace_id}-{trace.span_id}-{trace.flags:02x}")
    return (parent, ("tracestate", trace.state)) if trace.state else (parent,)


def _read_state(states: Sequence[str]) -> str:
    """The state in one line, "" if a part of it cannot be read."""
    members = [member.strip(" \t") for member in ",".join(states).split(",")]
    members = [member for member in members if member]
    found = [_MEMBER.fullmatch(member) for member in members]
    keys = {one["key"] for one in found if one}
    state = ",".join(members)
    is_whole = len(keys) == len(members) <= _MEMBERS_MOST and len(state) <= STATE_LIMIT
    return state if is_whole else ""
