"""Jobs in the dashboard: found, understood, and done something with, as a person does it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import ADMIN, Watched
from tests.browser.shop import Shop, open_shop

MANY = 10_000
SLOW_MS = 90_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all tests here: each has queues of its own."""
    with open_shop(tmp_path_factory.mktemp("shop") / "data") as opened:
        yield opened


@pytest.fixture
def page(watched: Watched, shop: Shop) -> Page:
    """Signed in as the administrator, at the list of jobs."""
    return signed_in(watched.page, shop, ADMIN, "jobs")


def signed_in(page: Page, shop: Shop, token: str, where: str) -> Page:
    """The page at a place, once its token was shown."""
    page.goto(f"{shop.url}/ui#/{where}")
    page.get_by_label("API token").fill(token)
    page.keyboard.press("Enter")
    expect(page.locator(".frame main h1")).to_be_visible()
    return page


def at(page: Page, shop: Shop, where: str) -> None:
    """Go there by the address."""
    page.goto(f"{shop.url}/ui#/{where}")


def row(page: Page, job_id: str) -> Locator:
    return page.get_by_role("row").filter(has_text=job_id)


def test_a_list_says_in_which_order_it_goes(page: Page, shop: Shop):
    for queue in ("order-a", "order-b"):
        shop.job("hello", queue=queue, delay="1h", tags=["ordered"])
    for where, told in (
        ("jobs", "Listed queue by queue, and in each state by state."),
        ("jobs?state=scheduled", "Listed queue by queue."),
        ("jobs?queue=order-a", "Listed state by state."),
    ):
        at(page, shop, where)
        expect(page.get_by_text(told, exact=True)).to_be_visible()
    for where in ("jobs?queue=order-a&state=scheduled", "jobs?tag=ordered"):
        at(page, shop, where)
        expect(page.get_by_role("table", name="Jobs")).to_be_visible()
        expect(page.get_by_text("Listed")).to_have_count(0)


def test_an_id_that_is_pasted_leads_straight_to_its_job_and_so_does_a_handle(page: Page, shop: Shop):
    job = shop.job("hello", queue="find", delay="1h", unique="order <17>")

    page.keyboard.press("/")
    expect(page.get_by_label("Find")).to_be_focused()
    page.evaluate(
        """text => {
          const data = new DataTransfer();
          data.setData("text", text);
          document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, cancelable: true }));
        }""",
        job["id"],
    )
    expect(page.get_by_role("heading", name="hello")).to_be_visible()
    assert page.url.endswith(f"#/jobs/{job['id']}")

    page.get_by_role("link", name="Queues", exact=True).first.click()
    page.keyboard.press("/")
    page.keyboard.type("order <17>")
    page.keyboard.press("Enter")
    expect(page.get_by_text(job["id"]).first).to_be_visible()
    expect(page.get_by_text("order <17>")).to_be_visible()

    page.keyboard.press("/")
    page.keyboard.type("no such handle")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No job has the id or the unique handle no such handle.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Find")).to_have_value("")


def test_filters_stand_in_the_address_and_back_takes_them_off(page: Page, shop: Shop):
    late, tagged = shop.job("hello", queue="sieve", delay="1h"), shop.job("hello", queue="sieve", tags=["night"])
    shop.ended(tagged)

    page.get_by_label("Add a filter").select_option("queue")
    page.get_by_label("Queue", exact=True).fill("sieve")
    page.keyboard.press("Enter")
    expect(row(page, late["id"])).to_be_visible()
    expect(row(page, tagged["id"])).to_be_visible()

    page.get_by_role("button", name="scheduled").click()
    expect(row(page, tagged["id"])).to_have_count(0)
    expect(row(page, late["id"])).to_be_visible()
    assert page.url.endswith("#/jobs?queue=sieve&state=scheduled")

    page.go_back()
    expect(row(page, tagged["id"])).to_be_visible()
    page.reload()
    expect(row(page, tagged["id"])).to_be_visible()
    at(page, shop, "jobs?tag=night&queue=sieve")
    expect(page.get_by_text("Tag night")).to_be_visible()
    expect(row(page, late["id"])).to_have_count(0)
    page.get_by_role("button", name="Remove the filter Tag").click()
    expect(row(page, late["id"])).to_be_visible()


def test_pages_follow_each_other_by_the_cursor(page: Page, shop: Shop):
    shop.ask("POST", "/job/batch", {"jobs": [{"worker": "hello", "queue": "long", "delay": "1h"}] * 120})
    at(page, shop, "jobs?queue=long")
    expect(page.locator("tbody tr")).to_have_count(50)
    first = page.locator("tbody tr").first.inner_text()

    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_role("button", name="First page")).to_be_visible()
    expect(page.locator("tbody tr").first).not_to_have_text(first)
    page.get_by_role("button", name="Next page").click()
    expect(page.locator("tbody tr")).to_have_count(20)
    page.get_by_role("button", name="First page").click()
    expect(page.locator("tbody tr")).to_have_count(50)


def test_a_job_says_why_it_waits_and_is_cancelled_with_a_way_back(page: Page, shop: Shop):
    shop.ask("POST", "/queue/still/pause")
    job = shop.job("hello", queue="still")
    at(page, shop, f"jobs/{job['id']}")

    why = page.get_by_role("region", name="Why is it not running?")
    expect(why.get_by_text("Somebody has paused the queue still")).to_be_visible()

    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("It was cancelled")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(why).to_be_visible()

    shop.ask("POST", "/queue/still/resume")
    expect(page.get_by_role("group", name="result")).to_contain_text('"<i>hello</i>"')
    assert page.locator("main i").count() == 0


def test_a_job_for_later_counts_down_is_changed_and_is_run_now(page: Page, shop: Shop):
    job = shop.job("hello", queue="later", delay="1h", args={"id": 9_007_199_254_740_993, "name": "Ada"})
    at(page, shop, f"jobs/{job['id']}")
    expect(page.get_by_text("Its time has not come")).to_be_visible()
    expect(page.get_by_role("timer")).to_contain_text("59:")

    page.get_by_role("button", name="Edit arguments").click()
    editor = page.get_by_role("dialog").get_by_label("Arguments")
    text = editor.input_value()
    editor.fill(text.replace('"Ada"', '"Ada'))
    expect(page.get_by_text("This is no JSON")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    editor.fill(text.replace("Ada", "Grace"))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("group", name="arguments")).to_contain_text('"Grace"')

    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("group", name="result")).to_be_visible()
    # A number that JavaScript cannot hold has come through the editor as it was.
    assert shop.calls[-1]["args"] == {"id": 9_007_199_254_740_993, "name": "Grace"}


def test_a_dead_job_shows_its_error_in_full_and_is_replayed_with_other_arguments(page: Page, shop: Shop):
    job = shop.ended(shop.job("charge", queue="till", args={"order": 17}))
    at(page, shop, f"jobs/{job['id']}")
    expect(page.get_by_text("It is dead")).to_be_visible()
    expect(page.get_by_label("Stack")).to_contain_text("<b>CardDeclined</b>: no funds")

    page.get_by_role("button", name="Replay edited").click()
    page.get_by_role("dialog").get_by_label("Arguments").fill('{"order": 17, "ok": true}')
    page.get_by_role("button", name="Replay", exact=True).click()

    expect(page.get_by_role("group", name="result")).to_be_visible()
    assert job["id"] in page.url
    left = shop.ask("GET", "/job?queue=till")["items"]
    assert [(one["id"], one["state"], one["args"]) for one in left] == [
        (job["id"], "succeeded", {"order": 17, "ok": True})
    ]


def test_rows_are_picked_by_the_keyboard_and_deleted_once_it_is_meant(page: Page, shop: Shop):
    jobs = [shop.ended(shop.job("hello", queue="pick")) for _ in range(3)]
    at(page, shop, "jobs?queue=pick")
    expect(page.locator("tbody tr")).to_have_count(3)

    page.locator("h1").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    bar = page.get_by_role("region", name="Do something with many jobs")
    expect(bar).to_contain_text("2 jobs")
    bar.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 2 jobs?")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator("tbody tr")).to_have_count(3)

    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete 2 jobs").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert len(shop.ask("GET", "/job?queue=pick")["items"]) == len(jobs) - 2


def test_ten_thousand_jobs_are_cancelled_by_the_server_with_its_progress(page: Page, shop: Shop):
    for _ in range(MANY // 1000):
        shop.ask("POST", "/job/batch", {"jobs": [{"worker": "hello", "queue": "flood", "delay": "1h"}] * 1000})
    at(page, shop, "jobs?queue=flood&state=scheduled")
    expect(page.locator("tbody tr")).to_have_count(50)

    page.get_by_role("button", name="Cancel all").click()
    page.get_by_role("button", name="Cancel 10\u202f000 jobs").click(timeout=SLOW_MS)

    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_text("10\u202f000 jobs cancelled.")).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_text("No job is so")).to_be_visible(timeout=SLOW_MS)
    assert shop.ask("GET", "/queue/flood")["scheduled"] == 0


def test_what_happens_is_shown_without_a_reload(page: Page, shop: Shop):
    at(page, shop, "jobs?queue=alive")
    expect(page.get_by_text("No job is so")).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.evaluate("window.isTheSame = true")

    job = shop.job("hello", queue="alive", delay="1h")
    expect(row(page, job["id"])).to_contain_text("scheduled")
    shop.ask("POST", f"/job/{job['id']}/run")
    expect(row(page, job["id"])).to_contain_text("succeeded")

    assert page.evaluate("window.isTheSame")


def test_a_new_job_is_tried_dry_and_made(page: Page, shop: Shop):
    page.keyboard.press("c")
    page.get_by_label("Worker", exact=True).fill("hello")
    page.get_by_label("Queue", exact=True).fill("made")
    page.get_by_label("Arguments").fill('{"name": "<b>Ada</b>"}')
    page.get_by_role("button", name="Later").click()
    page.get_by_label("After").fill("90 parsecs")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("alert")).to_contain_text("delay")

    page.get_by_label("After").fill("2h")
    page.get_by_text("Options").click()
    page.get_by_label("Tags").fill("night vip")
    page.get_by_role("button", name="Dry run").click()
    trial = page.get_by_role("region", name="Dry run: nothing was stored")
    expect(trial).to_contain_text("in 1 h")
    assert shop.ask("GET", "/job?queue=made")["items"] == []

    page.get_by_role("button", name="Make the job").click()
    expect(page.get_by_role("heading", name="hello")).to_be_visible()
    (made,) = shop.ask("GET", "/job?queue=made")["items"]
    assert (made["tags"], made["args"], made["state"]) == (["night", "vip"], {"name": "<b>Ada</b>"}, "scheduled")

    page.get_by_role("link", name="Duplicate").click()
    expect(page.get_by_label("Worker", exact=True)).to_have_value("hello")
    page.get_by_role("button", name="Make the job").click()
    expect(page.get_by_role("group", name="result")).to_be_visible()
    assert len(shop.ask("GET", "/job?queue=made")["items"]) == 2


def test_a_rule_shows_its_next_runs_and_makes_a_schedule(page: Page, shop: Shop):
    at(page, shop, "new?when=again")
    page.get_by_label("Worker", exact=True).fill("hello")
    page.get_by_label("Queue", exact=True).fill("rules")
    page.get_by_label("Cron", exact=True).fill("0 9 * * 8")
    expect(page.get_by_role("alert")).to_contain_text("cron")

    page.get_by_label("Cron", exact=True).fill("30 2 * * *")
    page.get_by_label("Zone").fill("America/New_York")
    expect(page.locator(".preview li")).to_have_count(5)
    expect(page.locator(".preview li").first).to_contain_text("02:30:00")
    page.get_by_role("button", name="Make the schedule").click()

    expect(page.get_by_text("Next fires")).to_be_visible()
    expect(page.get_by_text("There, America/New_York")).to_be_visible()
