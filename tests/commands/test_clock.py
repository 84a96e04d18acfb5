"""What is told as seen from now goes by the coordinator's now."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from coordinator.commands.clock import off_of
from tests.coordinator_process import dev_process


@pytest.fixture(scope="module")
def dev_url(tmp_path_factory):
    with dev_process(tmp_path_factory.mktemp("dev") / "data") as url:
        yield url


def test_times_are_told_by_a_clock_that_was_moved_on(run, api, dev_url):
    flags = ("--url", dev_url)
    run("queues", "pause", "still", *flags)
    made = run("enqueue", "hello", "--queue", "still", "--delay", "30h", *flags).out
    assert "due in 1 d" in made
    job_id = made.split()[0]
    # An hour to spare: whatever happens here takes less.
    assert api.post(f"{dev_url}/dev/advance", json={"by": "29h"}).is_success

    story = run("job", job_id, *flags).out
    assert re.search(r"^created .* \(1 d ago\)$", story, re.MULTILINE)
    assert re.search(r"^due .* \(in \d+ m\)$", story, re.MULTILINE)
    assert re.search(rf"^{job_id} .* 1 d ago +due in \d+ m$", run("jobs", *flags).out, re.MULTILINE)


HERE = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NONE = timedelta()


@pytest.mark.parametrize(
    ("headers", "off"),
    [
        ({}, NONE),
        ({"date": "Tue, 01 Jan 2030 12:00:00 GMT"}, NONE),
        # The header tells whole seconds.
        ({"date": "Tue, 01 Jan 2030 11:59:58 GMT"}, NONE),
        ({"date": "Tue, 01 Jan 2030 13:00:00 GMT"}, HOUR),
        ({"date": "Tue, 01 Jan 2030 11:00:00 GMT"}, -HOUR),
        ({"date": "the day before yesterday", "clock-ahead": "3600000"}, HOUR),
        # Without a zone it is no instant.
        ({"date": "Tue, 01 Jan 2030 13:00:00 -0000", "clock-ahead": "3600000"}, HOUR),
        ({"date": "Tue, 01 Jan 2030 13:00:00", "clock-ahead": "3600000"}, HOUR),
        ({"date": "Tue, 01 Jan 2030 13:00:00 GMT", "clock-ahead": "an hour"}, HOUR),
        ({"date": "Tue, 01 Jan 2030 13:00:00 GMT", "clock-ahead": "inf"}, HOUR),
        ({"date": "Tue, 01 Jan 2030 13:00:00 GMT", "clock-ahead": "nan"}, HOUR),
        ({"date": "Tue, 01 Jan 2030 13:00:00 GMT", "clock-ahead": "3600000"}, 2 * HOUR),
    ],
)
def test_a_coordinator_is_believed_over_the_clock_of_this_machine(headers, off):
    assert off_of(headers, HERE) == off
