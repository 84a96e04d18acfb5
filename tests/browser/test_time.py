"""What is shown as seen from now goes by the store's now, which `coordinator dev` can be moved on."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Watched
from tests.coordinator_process import dev_process


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of one with a job for tomorrow, in a queue that stands still."""
    with dev_process(tmp_path_factory.mktemp("dev") / "data") as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def test_times_are_shown_by_a_clock_that_is_moved_on(watched: Watched, dev: httpx.Client):
    page = watched.page
    dev.post("/queue/still/pause").raise_for_status()
    job = dev.post("/job", json={"worker": "hello", "queue": "still", "delay": "30h"}).json()
    page.goto(f"{dev.base_url}/ui#/jobs?queue=still")
    row = page.locator("tbody tr", has_text=job["id"])
    expect(row).to_contain_text(re.compile(r"in 1 d"))

    dev.post("/dev/advance", json={"by": "29h"}).raise_for_status()

    # The page hears of it with whatever it reads next.
    page.goto(f"{dev.base_url}/ui#/jobs/{job['id']}")
    expect(page.locator("main")).to_contain_text("1 d ago")
    page.go_back()
    expect(row).to_contain_text(re.compile(r"in \d+ m"))


def test_a_clock_that_a_proxy_has_made_no_number_of_moves_nothing(watched: Watched, dev: httpx.Client):
    def spoil(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers=answer.headers | {"clock-ahead": "an hour"})

    page = watched.page
    page.route(re.compile(r"/(job|queue|stat|session)\b"), spoil)
    job = dev.post("/job", json={"worker": "hello", "queue": "spoilt", "delay": "300h"}).json()
    page.goto(f"{dev.base_url}/ui#/jobs?queue=spoilt")

    expect(page.locator("tbody tr", has_text=job["id"])).to_contain_text(re.compile(r"in 1\d d"))
