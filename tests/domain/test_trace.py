"""Headers of W3C Trace Context, read as the standard says."""

import pytest

from coordinator.domain.trace import STATE_LIMIT, Trace, headers_of, read_trace

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
TRACE = Trace(TRACE_ID, SPAN_ID, 1)


def test_a_trace_is_written_as_it_was_read():
    trace = read_trace([PARENT], ["a=1,b@c=2"])

    assert trace == Trace(TRACE_ID, SPAN_ID, 1, "a=1,b@c=2")
    assert headers_of(trace) == (("traceparent", PARENT), ("tracestate", "a=1,b@c=2"))
    assert headers_of(TRACE) == (("traceparent", PARENT),)


@pytest.mark.parametrize(
    ("parent", "flags"),
    [
        (f"00-{TRACE_ID}-{SPAN_ID}-00", 0),
        (f"00-{TRACE_ID}-{SPAN_ID}-03", 3),
        (f"00-{TRACE_ID}-{SPAN_ID}-ff", 3),
        (f" 00-{TRACE_ID}-{SPAN_ID}-01\t", 1),
        (f"01-{TRACE_ID}-{SPAN_ID}-01", 1),
        (f"cc-{TRACE_ID}-{SPAN_ID}-01-what-the-future-brings", 1),
    ],
)
def test_flags_that_are_known_are_kept_and_later_versions_read_as_far_as_they_are_known(parent: str, flags: int):
    assert read_trace([parent], []) == Trace(TRACE_ID, SPAN_ID, flags)


@pytest.mark.parametrize(
    "parents",
    [
        [],
        [""],
        [PARENT, PARENT],
        ["none"],
        [PARENT.upper()],
        [PARENT[:-1]],
        [f"{PARENT}-more"],
        [f"{PARENT}."],
        [f"ff-{TRACE_ID}-{SPAN_ID}-01"],
        [f"cc-{TRACE_ID}-{SPAN_ID}-01.more"],
        [f"00-{'0' * 32}-{SPAN_ID}-01"],
        [f"00-{TRACE_ID}-{'0' * 16}-01"],
        [f"00-{TRACE_ID}-{SPAN_ID}-0g"],
        [f"00-{TRACE_ID}-{SPAN_ID}-01\n"],
    ],
)
def test_what_is_no_traceparent_is_as_if_it_were_not_there(parents: list[str]):
    assert read_trace(parents, ["a=1"]) is None


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        (["a=1", "b=2"], "a=1,b=2"),
        ([" a=1 ,, b=2 "], "a=1,b=2"),
        (["1a@b=x y"], "1a@b=x y"),
        ([], ""),
        (["A=1"], ""),
        (["a"], ""),
        (["a=1,a=2"], ""),
        (["a=1=2"], ""),
        ([",".join(f"k{number}=1" for number in range(33))], ""),
        ([f"a={'1' * 250},b={'1' * 250},c={'1' * 10}"], ""),
    ],
)
def test_a_state_is_kept_whole_or_not_at_all(states: list[str], kept: str):
    trace = read_trace([PARENT], states)

    assert trace == Trace(TRACE_ID, SPAN_ID, 1, kept)
    assert len(trace.state) <= STATE_LIMIT


def test_a_span_of_the_same_trace_has_another_id():
    assert TRACE.child("b7ad6b7169203331") == Trace(TRACE_ID, "b7ad6b7169203331", 1)
