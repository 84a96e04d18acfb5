"""Signing in and out, as a person does."""

from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ADMIN, LIMIT_MS, Watched

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</h1><script>alert(1)</script>",
    "<style>*{display:none}</style>",
    "{{7*7}}${7*7}<svg/onload=alert(1)>",
    "&lt;b&gt; \u202eright to left",
)


def made(coordinator: str, name: str, *scopes: str, **more: object) -> dict[str, str]:
    """A token that was made."""
    answer = httpx.post(
        f"{coordinator}/token",
        json={"name": name, "scopes": scopes} | more,
        headers={"authorization": f"Bearer {ADMIN}"},
        trust_env=False,
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


def sign_in(page: Page, token: str) -> None:
    """By the keyboard alone: the field has the focus."""
    expect(page.get_by_label("API token")).to_be_focused(timeout=LIMIT_MS)
    page.keyboard.type(token)
    page.keyboard.press("Enter")


def texts(page: Page, part: str) -> list[str]:
    return page.locator(f"#{part} li").all_text_contents()


def test_one_signs_in_stays_so_and_signs_out(watched: Watched, coordinator: str):
    page = watched.page
    token = made(coordinator, "the night shift", "read", "manage", queues=["mail-*", "billing"], expiresIn="1h")
    page.goto(f"{coordinator}/ui#/session")
    name = page.get_by_role("heading", name="the night shift")

    sign_in(page, "wrong")
    expect(page.get_by_role("alert").filter(has_text="There is no such token")).to_be_visible()
    expect(page.get_by_label("API token")).to_have_attribute("aria-invalid", "true")
    # What is selected is typed over.
    sign_in(page, token["token"])

    expect(name).to_be_focused()
    assert texts(page, "scopes") == ["manage", "read"]
    assert texts(page, "queues") == ["mail-*", "billing"]
    expect(page.locator("#until time")).to_have_attribute("datetime", token["expiresAt"][:19] + ".000Z")
    expect(page.get_by_text(f"Token {token['id']}")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in")).to_be_hidden()

    page.reload()
    expect(name).to_be_visible()
    assert watched.violations() == []

    page.get_by_role("button", name="Sign out").press("Enter")
    expect(page.get_by_label("API token")).to_be_focused()
    expect(page.get_by_label("API token")).to_have_value("")
    expect(name).to_have_count(0)
    assert page.context.cookies() == []
    page.reload()
    expect(page.get_by_label("API token")).to_be_visible()
    # Each time it is asked without a session, and once with a wrong token.
    assert watched.refused == [f"401 (Unauthorized) {coordinator}/session"] * 4


def test_no_script_can_read_the_session_and_no_other_site_is_sent_it(watched: Watched, coordinator: str):
    page = watched.page
    page.goto(f"{coordinator}/ui#/session")
    sign_in(page, ADMIN)
    expect(page.get_by_role("heading", name="COORDINATOR_TOKENS 1")).to_be_visible()

    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("co_session", True, "Strict")
    kept = "document.cookie + JSON.stringify([{...localStorage}, {...sessionStorage}])"
    assert page.evaluate(kept) == "[{},{}]"
    assert ADMIN not in page.content()

    # `localhost` and `127.0.0.1` are two sites to a browser.
    elsewhere = "http://localhost:9/"
    page.route(elsewhere, lambda asked: asked.fulfill(content_type="text/html", body="<p>A page of somebody else"))
    page.goto(elsewhere)
    with page.expect_response(f"{coordinator}/session") as answered:
        page.evaluate("url => { location.href = url }", f"{coordinator}/session")
    assert answered.value.status == 401
    page.wait_for_url(f"{coordinator}/session")
    page.goto(f"{coordinator}/ui#/session")
    expect(page.get_by_role("heading", name="COORDINATOR_TOKENS 1")).to_be_visible()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is(watched: Watched, coordinator: str, name: str):
    page = watched.page
    token = made(coordinator, name, "read")
    page.goto(f"{coordinator}/ui#/session")

    sign_in(page, token["token"])

    for shown in (page.locator("#name"), page.locator(".who-name")):
        expect(shown).to_be_visible()
        assert shown.text_content() == name
        # It has made nothing.
        assert shown.locator("*").count() == 0


def test_a_revoked_token_ends_the_session(watched: Watched, coordinator: str):
    page = watched.page
    token = made(coordinator, "on leave", "read")
    page.goto(f"{coordinator}/ui#/session")
    sign_in(page, token["token"])
    expect(page.get_by_role("heading", name="on leave")).to_be_visible()

    httpx.delete(
        f"{coordinator}/token/{token['id']}", headers={"authorization": f"Bearer {ADMIN}"}, trust_env=False
    ).raise_for_status()

    # The page finds out by itself, with the next that it reads.
    expect(page.get_by_role("alert").filter(has_text="The session has ended")).to_be_visible(timeout=2 * LIMIT_MS)
    expect(page.get_by_label("API token")).to_be_focused()
    page.reload()
    expect(page.get_by_label("API token")).to_be_focused()


def test_without_tokens_there_is_nothing_to_sign_in_to(watched: Watched, open_coordinator: str):
    page = watched.page
    page.goto(f"{open_coordinator}/ui/")
    page.get_by_role("link", name="Everybody here").click()

    expect(page.get_by_role("heading", name="Everybody here")).to_be_visible()
    assert page.url == f"{open_coordinator}/ui#/session"
    assert (texts(page, "scopes"), texts(page, "queues")) == (["admin"], ["all"])
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
    assert watched.refused == []


def test_a_coordinator_that_does_not_answer_is_told_of(watched: Watched, coordinator: str):
    page = watched.page
    page.goto(f"{coordinator}/ui")
    expect(page.get_by_label("API token")).to_be_focused()
    page.context.set_offline(True)

    sign_in(page, ADMIN)

    expect(page.get_by_role("alert").filter(has_text="does not answer")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_as_the_machine_is_and_can_be_read(
    browser: Browser, coordinator: str, scheme: Literal["light", "dark"]
):
    context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 640})
    page = context.new_page()
    page.goto(f"{coordinator}/ui")
    expect(page.get_by_label("API token")).to_be_visible()

    for part, ground in ((".hint:visible", ".card:visible"), ("h1:visible", ".card:visible"), ("button:visible", None)):
        text = luminance(page, part, "color")
        behind = luminance(page, ground or part, "backgroundColor")
        lighter, darker = max(text, behind), min(text, behind)
        # WCAG 2.2, 1.4.3: contrast of text.
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, part
    assert (luminance(page, "body", "backgroundColor") < 0.5) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    context.close()


def luminance(page: Page, selector: str, which: str) -> float:
    """Of a colour of the first such element, from 0 to 1 (WCAG 2.2, relative luminance)."""
    text = page.locator(selector).first.evaluate("(found, which) => getComputedStyle(found)[which]", which)
    channels = [int(number) / 255 for number in text.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
