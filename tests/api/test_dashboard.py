"""`/ui`: the page and what it is made of, as a browser is sent them."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from tests.api.harness import Api, refusal
from tests.api.test_sessions import serving

STATIC = Path(__file__).parent.parent.parent / "coordinator" / "dashboard" / "static"
MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
ASSETS = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.suffix in MEDIA_TYPES)
LINES_MAX = 400
IMPORT = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"'\s]+)["']""")
GUARDED = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


def guards_of(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name in GUARDED}


async def test_the_page_and_its_parts_are_for_everybody():
    async with serving() as api:
        page = await api.client.get("/ui", headers={"host": "jobs.example.com"})
        assert (page.status_code, page.content) == (200, (STATIC / "index.html").read_bytes())
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["cache-control"] == "no-store"
        assert guards_of(page) == GUARDED
        for name in ASSETS:
            asset = await api.client.get(f"/ui/{name}")
            assert (asset.status_code, asset.content) == (200, (STATIC / name).read_bytes()), name
            media_type = MEDIA_TYPES[Path(name).suffix]
            assert (asset.headers["content-type"], asset.headers["cache-control"]) == (media_type, "no-cache")
            assert guards_of(asset) == GUARDED
            head = await api.client.head(f"/ui/{name}")
            assert (head.status_code, head.headers["etag"]) == (200, asset.headers["etag"])


async def test_what_is_known_is_not_sent_again(idle: Api):
    for name in ("main.js", "css/ground.css", "vendor/preact.js"):
        etag = (await idle.client.get(f"/ui/{name}")).headers["etag"]
        again = await idle.client.get(f"/ui/{name}", headers={"if-none-match": f'"other", W/{etag}'})
        assert (again.status_code, again.content, guards_of(again)) == (304, b"", GUARDED)


@pytest.mark.parametrize(
    ("public_url", "told"),
    [("https://jobs.example.com", "max-age=31536000"), ("http://jobs.example.com", None), ("", None)],
)
async def test_only_who_is_reached_by_https_says_that_it_stays_so(public_url: str, told: str | None):
    async with serving(public_url=public_url) as api:
        for path in ("/ui", "/ui/main.js"):
            assert (await api.client.get(path)).headers.get("strict-transport-security") == told


async def test_nothing_else_is_served(idle: Api):
    unserved = ["index.html", "pages.py", "..", "%2e%2e%2fpages.py", "..%2f__init__.py", "x", "%00", "core", "core/"]
    unserved += [
        "core/../../pages.py",
        "core/%2e%2e/%2e%2e/pages.py",
        "/etc/passwd",
        "//etc/passwd",
        "vendor/htm.LICENSE",
    ]
    for name in unserved:
        answer = await idle.client.get(f"/ui/{name}")
        assert answer.status_code == 404, name
    refusal(await idle.client.get("/ui/x"), 404, "not_found")


async def test_the_page_has_one_address_wherever_a_proxy_puts_it(idle: Api):
    answer = await idle.client.get("/ui/")

    assert (answer.status_code, answer.headers["location"]) == (308, "../ui")


class Markup(HTMLParser):
    """Notes what a policy would not run, and what is asked for."""

    def __init__(self):
        super().__init__()
        self.asked_for = []
        self.inline = []
        self._open = ""

    def handle_starttag(self, tag, attrs):
        self._open = tag
        self.inline += [f"{tag} {name}" for name, _ in attrs if name.startswith("on") or name == "style"]
        self.asked_for += [value for name, value in attrs if name in {"src", "href", "action"}]

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open in {"script", "style"} and data.strip():
            self.inline.append(f"{self._open}: {data.strip()}")


def test_the_page_holds_no_script_and_no_style_and_asks_no_other_host():
    markup = Markup()
    markup.feed((STATIC / "index.html").read_text())

    assert markup.inline == []
    icon, *others = sorted(markup.asked_for)
    assert icon.startswith("data:image/svg+xml,")
    # Plots are on one page only, and what draws them is large.
    assert others == sorted(f"ui/{name}" for name in ASSETS if name != "vendor/uplot.js")
    for name in (name for name in ASSETS if name.endswith(".css")):
        assert "//" not in (STATIC / name).read_text(), name


def test_modules_name_each_other_by_path_and_nobody_else():
    for name in ASSETS:
        if name.endswith(".js"):
            for imported in IMPORT.findall((STATIC / name).read_text()):
                assert imported.startswith("."), (name, imported)
                target = os.path.normpath(STATIC / Path(name).parent / imported)
                assert Path(target).is_relative_to(STATIC), (name, imported)
                assert Path(target).is_file(), (name, imported)


def test_nothing_of_ours_in_the_page_is_too_large_or_makes_markup_of_text():
    for name in ASSETS:
        if not name.startswith("vendor/"):
            text = (STATIC / name).read_text()
            assert len(text.splitlines()) <= LINES_MAX, name
            for door in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
                assert door not in text, (name, door)
