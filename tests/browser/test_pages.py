"""The other pages of the dashboard, and what holds for all: who may what, keys, phones, and no barriers."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from tests.browser.conftest import ADMIN, Watched
from tests.browser.shop import Shop, open_shop
from tests.browser.test_jobs import at, row, signed_in
from tests.coordinator_process import register_as_of_tomorrow

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LISTS = ("overview", "jobs", "queues", "schedules", "workers", "dead", "tokens", "audit", "new", "session")
CHANGING = ("Pause", "Resume", "Retry", "Delete", "Cancel", "Edit", "Trigger", "Ping", "Purge", "Replay", "Reset")
PHONE: ViewportSize = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with something of every kind."""
    directory = tmp_path_factory.mktemp("shop") / "data"
    register_as_of_tomorrow(directory, "of-tomorrow")
    with open_shop(directory) as opened:
        _furnish(opened)
        yield opened


def _furnish(shop: Shop) -> None:
    shop.ask("PUT", "/queue/mail", {"perKey": {"concurrency": 1, "rate": {"limit": 10}}})
    shop.ask("PUT", "/schedule/nightly", {"worker": "hello", "queue": "reports", "cron": "30 2 * * *"})
    shop.ask("POST", "/queue/still/pause")
    for _ in range(3):
        shop.job("hello", queue="still", key="shop <1>")
    shop.ended(shop.job("hello", queue="mail", args={"deep": [{"list": [1, 2, {"a": None}]}]}))
    for order in (17, 18):
        shop.ended(shop.job("charge", queue="till", args={"order": order}))


@pytest.fixture
def page(watched: Watched, shop: Shop) -> Page:
    """Signed in as the administrator."""
    return signed_in(watched.page, shop, ADMIN, "queues")


def test_a_queue_is_paused_with_a_way_back_and_its_limits_are_set(page: Page, shop: Shop):
    row(page, "mail").get_by_role("button", name="Pause").click()
    expect(page.get_by_text("mail is paused")).to_be_visible()
    expect(row(page, "mail").get_by_text("paused", exact=True)).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "mail").get_by_text("paused", exact=True)).to_have_count(0)

    page.get_by_role("link", name="mail", exact=True).click()
    page.get_by_role("button", name="Edit limits").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Run at a time").first.fill("7")
    dialog.get_by_label("Time-out, if a job names none").fill("a while")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("timeout").first).to_be_visible()
    assert shop.ask("GET", "/queue/mail")["concurrency"] is None

    page.get_by_role("button", name="Edit limits").click()
    dialog.get_by_label("Run at a time").first.fill("7")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("0 of 7 run")).to_be_visible()
    # A queue is set as a whole: what was not touched has stayed.
    queue = shop.ask("GET", "/queue/mail")
    assert (queue["concurrency"], queue["perKey"]["concurrency"], queue["perKey"]["rate"]["limit"]) == (7, 1, 10)


def test_a_key_is_paused_looked_at_and_set_free(page: Page, shop: Shop):
    at(page, shop, "queues/still")
    keys = page.get_by_role("table", name="Keys")
    expect(keys).to_contain_text("shop <1>")
    keys.get_by_role("button", name="Pause").click()
    expect(keys.get_by_text("paused", exact=True)).to_be_visible()
    page.get_by_label("Look at a key").fill("shop <1>")
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.get_by_text("0 running, 3 waiting")).to_be_visible()

    keys.get_by_role("button", name="Resume").click()
    expect(keys.get_by_text("paused", exact=True)).to_have_count(0)
    keys.get_by_role("button", name="Reset").click()
    expect(page.get_by_text("shop <1> is free")).to_be_visible()


def test_a_schedule_is_triggered_paused_and_changed(page: Page, shop: Shop):
    at(page, shop, "schedules")
    row(page, "nightly").get_by_role("button", name="Trigger").click()
    expect(row(page, "nightly").get_by_role("link", name="succeeded").first).to_be_visible()

    expect(row(page, "nightly")).to_contain_text("every day at 02:30, UTC")

    page.get_by_role("link", name="nightly", exact=True).click()
    expect(page.get_by_text("every day at 02:30", exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name="02:30:00").first).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("It does not fire.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("cell", name="02:30:00").first).to_be_visible()

    page.get_by_role("button", name="Edit").click()
    page.get_by_role("dialog").get_by_label("Cron").fill("15 4 * * *")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("cell", name="04:15:00").first).to_be_visible()
    assert shop.ask("GET", "/schedule/nightly")["cron"] == "15 4 * * *"

    shop.ask("PUT", "/schedule/short-lived", {"worker": "hello", "every": "1h"})
    at(page, shop, "schedules")
    page.get_by_role("link", name="short-lived", exact=True).click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("link", name="nightly", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="short-lived", exact=True)).to_have_count(0)


def test_a_worker_answers_a_ping_and_tells_how_it_fares(page: Page, shop: Shop):
    at(page, shop, "workers")
    charge = row(page, "charge")
    charge.get_by_role("button", name="Ping").click()

    expect(charge.get_by_role("status")).to_contain_text("answers")
    expect(charge.get_by_role("status")).to_contain_text("tests 1")
    expect(charge).to_contain_text("0.0 %")


def test_a_worker_is_changed_and_what_is_hidden_of_it_given_again(page: Page, shop: Shop):
    secrets = [f"whsec_{base64.b64encode(letter * 32).decode()}" for letter in (b"a", b"b")]
    url = shop.ask("GET", "/worker/charge")["url"]
    headers = {"x-door": "open", "x-old": "gone"}
    asked = {"url": url, "timeout": "30s", "headers": headers, "batch": {"size": 5, "window": "1s"}}
    shop.ask("PUT", "/worker/mended", asked | {"secret": secrets[0], "previousSecret": secrets[1]})
    at(page, shop, "workers")
    row(page, "mended").get_by_role("button", name="Edit mended").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("never shown")).to_be_visible()

    dialog.get_by_label("Time-out").fill("a while")
    dialog.get_by_role("button", name="Save").click()
    # Nothing is sent while something that is hidden is missing.
    assert dialog.locator(":invalid:not(form, fieldset)").count() == 4
    dialog.get_by_label("Secret", exact=True).fill(secrets[1])
    dialog.get_by_label("Remove it").last.check()
    dialog.get_by_label("Value of x-door").fill("shut")
    dialog.get_by_role("button", name="Remove the header x-old").click()
    dialog.get_by_role("button", name="Save").click()
    # What was typed stays when it is refused.
    expect(dialog.get_by_role("alert")).to_contain_text("timeout")
    dialog.get_by_label("Time-out").fill("45s")
    dialog.get_by_role("button", name="Save").click()

    expect(row(page, "mended")).to_contain_text("time-out 45 s, signed, 5 in a call, 1 header")
    hidden = "[hidden]"
    assert shop.ask("GET", "/worker/mended") == {
        "name": "mended",
        "url": url,
        "ack": "receipt",
        "headers": {"x-door": hidden},
        "timeoutMs": 45_000,
        "queue": None,
        "secret": hidden,
        "previousSecret": None,
        "auth": None,
        "batch": {"size": 5, "windowMs": 1000},
        "owner": None,
    }


def registering(page: Page, shop: Shop, name: str) -> Locator:
    """The form of a new worker, with its name and a URL."""
    at(page, shop, "workers")
    page.get_by_role("button", name="Register").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_label("URL").fill(shop.ask("GET", "/worker/charge")["url"])
    return dialog


def test_a_worker_is_registered_for_a_platform_that_wants_a_token(page: Page, shop: Shop):
    dialog = registering(page, shop, "guarded")
    dialog.get_by_label("The platform wants").select_option("bearer")
    dialog.get_by_label("Token").fill("of the platform")
    dialog.get_by_role("button", name="Register").click()
    expect(dialog.get_by_role("alert")).to_contain_text("auth.token")
    dialog.get_by_label("Token").fill("of-the-platform")
    dialog.get_by_role("button", name="Register").click()

    expect(row(page, "guarded")).to_contain_text("bearer")
    assert shop.ask("GET", "/worker/guarded")["auth"] == {"type": "bearer", "token": "[hidden]"}
    shop.ask("DELETE", "/worker/guarded")


def test_of_two_headers_with_one_name_none_is_lost(page: Page, shop: Shop):
    dialog = registering(page, shop, "twofold")
    names = dialog.get_by_label("Name of the header", exact=True)
    for at_row, name in enumerate(("x-door", "X-Door ")):
        dialog.get_by_role("button", name="Header", exact=True).click()
        names.nth(at_row).fill(name)
    dialog.get_by_role("button", name="Register").click()

    assert dialog.locator("input:invalid").count() == 1
    assert names.nth(1).evaluate("input => input.validationMessage") == "Another header has this name."
    names.nth(1).fill("x-gate")
    dialog.get_by_role("button", name="Register").click()
    expect(row(page, "twofold")).to_contain_text("2 headers")
    shop.ask("DELETE", "/worker/twofold")


def test_a_worker_that_cannot_be_read_is_not_edited(page: Page, shop: Shop):
    at(page, shop, "workers")
    unread = row(page, "of-tomorrow")

    expect(unread).to_contain_text("Editing it would lose what is not shown: register it anew.")
    expect(unread.get_by_role("button", name="Delete of-tomorrow")).to_be_visible()
    expect(unread.get_by_role("button", name="Edit")).to_have_count(0)
    expect(page.get_by_role("button", name="Edit charge")).to_be_visible()


def test_the_overview_tells_what_was_done_and_what_failed(page: Page, shop: Shop):
    at(page, shop, "overview")

    expect(page.get_by_role("link", name="Dead 2")).to_be_visible()
    for name in ("Jobs done a minute", "Latency", "Failed attempts a minute"):
        plot = page.get_by_role("img", name=name)
        expect(plot.locator("canvas")).to_be_visible()
    expect(page.get_by_role("table", name="Queues")).to_contain_text("till")
    expect(page.get_by_role("table", name="Replicas").locator("tbody tr")).to_have_count(1)
    # Nothing was done before the last minutes, so no more of them are shown.
    spans = page.get_by_role("group", name="Time shown")
    expect(spans.get_by_role("button", name="15 m")).to_have_attribute("aria-pressed", "true")
    spans.get_by_role("button", name="1 h").click()
    expect(page.get_by_role("img", name="Latency, over 60 minutes")).to_be_visible()
    page.get_by_label("Queue", exact=True).select_option("till")
    assert page.url.endswith("#/overview?minutes=60&queue=till")
    expect(page.get_by_role("link", name="Done 0")).to_be_visible()


def test_dead_jobs_stand_together_by_their_error_and_are_replayed(page: Page, shop: Shop):
    for order in (1, 2, 3):
        shop.ended(shop.job("charge", queue="counter", args={"order": order}))
    at(page, shop, "dead?queue=counter")
    group = page.get_by_role("listitem").filter(has_text="CardDeclined")
    expect(group).to_have_count(1)
    expect(group.get_by_role("link", name="3 dead jobs")).to_be_visible()

    group.get_by_role("button", name="Replay", exact=True).click()
    page.get_by_role("button", name="Retry 3 jobs").click()
    expect(page.get_by_text("3 jobs tried anew.")).to_be_visible()
    shop.until(lambda: sum(call.get("queue") == "counter" for call in shop.calls) == 6)

    expect(group.get_by_role("link", name="3 dead jobs")).to_be_visible()
    group.get_by_role("button", name="Replay one edited").click()
    page.get_by_role("dialog").get_by_label("Arguments").fill('{"ok": true}')
    page.get_by_role("button", name="Replay", exact=True).last.click()
    expect(page.get_by_role("group", name="result")).to_be_visible()

    at(page, shop, "dead?queue=counter")
    group.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete 2 jobs").click()
    expect(page.get_by_text("No job is dead")).to_be_visible()


def test_a_token_is_made_shown_once_and_revoked(page: Page, shop: Shop):
    at(page, shop, "tokens")
    page.get_by_role("button", name="New token").click()
    page.get_by_label("Name").fill("the <i>new</i> one")
    page.get_by_role("button", name="Make it").click()
    text = page.locator(".told code").inner_text()
    assert [one["name"] for one in shop.ask("GET", "/queue", token=text)["items"]]
    page.get_by_role("button", name="I have it").click()
    expect(page.get_by_text(text)).to_have_count(0)

    row(page, "the <i>new</i> one").get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row(page, "the <i>new</i> one")).to_have_count(0)
    at(page, shop, "audit")
    expect(page.get_by_role("table")).to_contain_text("revoke token")


def test_who_may_only_read_sees_no_buttons_that_change(watched: Watched, shop: Shop):
    page = signed_in(watched.page, shop, shop.token("reader", "read"), "queues")
    dead = shop.ask("GET", "/job?state=dead&limit=1")["items"][0]
    schedule = shop.ask("GET", "/schedule/nightly")
    for where in (*("overview", "queues", "queues/still", "schedules", "workers", "dead"), f"jobs/{dead['id']}",
                  f"schedules/{schedule['id']}", "jobs?state=dead"):  # fmt: skip
        at(page, shop, where)
        expect(page.locator("main h1")).to_be_visible()
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        for name in CHANGING:
            expect(page.get_by_role("button", name=re.compile(rf"^{name}\b"))).to_have_count(0)
        expect(page.get_by_role("link", name="New job")).to_have_count(0)
        expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(page.get_by_role("link", name="Tokens")).to_have_count(0)
    refused = [line for line in watched.refused if not line.startswith("401")]
    assert refused == []


def test_a_token_for_some_queues_sees_only_these(watched: Watched, shop: Shop):
    page = signed_in(watched.page, shop, shop.token("till only", "read", "manage", queues=["till"]), "queues")
    expect(page.get_by_role("link", name="till", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="mail", exact=True)).to_have_count(0)

    for where in ("jobs", "overview", "dead", "schedules", "queues/till"):
        at(page, shop, where)
        expect(page.locator("main h1")).to_be_visible()
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        expect(page.locator("main").get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("Shows the queues till only")).to_be_visible()
    at(page, shop, "jobs")
    expect(page.locator("tbody tr")).to_have_count(2)
    assert [line for line in watched.refused if not line.startswith("401")] == []


@pytest.mark.parametrize(
    ("scopes", "queues", "where", "says"),
    [
        (["read"], [], "new", "needs a token with the scope enqueue; this one has read."),
        (["read", "manage"], [], "tokens", "needs a token with the scope admin; this one has manage, read."),
        (["read"], [], "audit", "needs a token with the scope admin; this one has read."),
        (["enqueue"], [], "overview", "needs a token with the scope read; this one has enqueue."),
        (["read"], ["mail-*"], "workers", "tells of all queues, and this token is for mail-* only."),
    ],
)
def test_a_page_that_a_token_is_not_for_says_so_and_shows_nothing_else(
    watched: Watched, shop: Shop, scopes: list[str], queues: list[str], where: str, says: str
):
    page = signed_in(watched.page, shop, shop.token("no entry", *scopes, queues=queues), where)

    expect(page.get_by_text(says)).to_be_visible()
    expect(page.locator("main :is(form, table, button, [role=alert])")).to_have_count(0)
    assert [line for line in watched.refused if not line.startswith("401")] == []


def test_a_new_job_is_for_the_one_queue_of_its_token(watched: Watched, shop: Shop):
    page = signed_in(watched.page, shop, shop.token("till", "enqueue", queues=["till"]), "new")
    expect(page.get_by_label("Queue", exact=True)).to_have_value("till")
    page.get_by_label("Worker").fill("hello")
    page.get_by_role("button", name="Make the job").click()
    expect(page.get_by_text("The job is made.")).to_be_visible()

    other = shop.token("mails", "enqueue", queues=["mail-*", "till"])
    watched.page.context.clear_cookies()
    page.reload()
    signed_in(page, shop, other, "new")
    expect(page.get_by_label("Queue", exact=True)).to_have_value("")
    expect(page.get_by_text("one that the token is for: mail-*, till")).to_be_visible()


def test_keys_lead_from_page_to_page_and_tell_what_they_do(page: Page, shop: Shop):
    for key, title in (("j", "Jobs"), ("q", "Queues"), ("s", "Schedules"), ("w", "Workers"), ("d", "Dead letters")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)

    at(page, shop, "queues")
    expect(page.locator("tbody tr").first).to_be_visible()
    first = page.locator("tbody tr").first.locator("a").first.inner_text()
    page.locator("h1").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("tbody tr").nth(1).locator("a").first).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=first, exact=True)).to_be_visible()


def test_a_chosen_colour_is_kept_over_that_of_the_system(page: Page):
    def is_dark() -> bool:
        found: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return found == "rgb(12, 13, 16)"

    assert not is_dark()
    page.get_by_role("button", name="Dark").click()
    assert is_dark()
    page.reload()
    expect(page.locator("main h1")).to_be_visible()
    assert is_dark()
    page.get_by_role("button", name="As the system").click()
    assert not is_dark()


def places(shop: Shop) -> list[str]:
    """Each page there is."""
    jobs = {state: shop.ask("GET", f"/job?state={state}&limit=1")["items"][0]["id"] for state in ("dead", "queued")}
    schedule = shop.ask("GET", "/schedule/nightly")["id"]
    return [*LISTS, *(f"jobs/{one}" for one in jobs.values()), f"schedules/{schedule}", "queues/still", "jobs/none"]


def test_nothing_is_wider_than_a_phone(page: Page, shop: Shop):
    page.set_viewport_size(PHONE)
    for where in places(shop):
        at(page, shop, where)
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], where
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Workers").click()
    expect(page.get_by_role("heading", name="Workers")).to_be_visible()
    expect(page.get_by_role("link", name="Schedules")).to_be_hidden()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci --prefix tests/browser")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier_that_a_machine_finds(browser: Browser, shop: Shop, scheme: Literal["light", "dark"]):
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page = signed_in(context.new_page(), shop, ADMIN, "overview")
    for where in places(shop):
        at(page, shop, where)
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        assert barriers(page) == [], where
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert barriers(page) == [], "help"
    page.keyboard.press("Escape")
    at(page, shop, "queues/mail")
    page.get_by_role("button", name="Edit limits").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert barriers(page) == [], "limits"
    page.keyboard.press("Escape")
    at(page, shop, "workers")
    page.get_by_role("button", name="Edit charge").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert barriers(page) == [], "worker"
    context.close()


def barriers(page: Page) -> list[str]:
    """What axe finds, each with where it is."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    found: dict[str, Any] = page.evaluate("tags => axe.run({ runOnly: tags })", AXE_TAGS)
    return [
        f"{one['id']}: {json.dumps([[node['target'], node['failureSummary']] for node in one['nodes'][:4]])}"
        for one in found["violations"]
    ]
