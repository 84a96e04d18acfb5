"""Who may come in, and with what: tokens, local names, media types."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from tests.api.harness import Api, refusal, resting

PUBLIC = {("GET", "/health"), ("GET", "/sdk/x"), ("GET", "/ui"), ("GET", "/ui/x"), ("POST", "/session")}
BODY = b'{"worker":"a","delay":"1h"}'


@pytest.fixture
async def guarded() -> AsyncIterator[Api]:
    """The application with two tokens; its client has none."""
    async with resting(tokens="first-token, second-token") as api:
        yield api


def routes_of(app: Litestar) -> Iterator[tuple[str, str]]:
    """Every method and path there is, whatever will be added."""
    for route in app.routes:
        assert isinstance(route, HTTPRoute), f"{route.path} is no plain route: say here how it is guarded"
        path = re.sub(r"\{[^}]+\}", "x", route.path_format)
        # HEAD is the handler of GET, and its refusals cannot be read.
        yield from ((method, path) for method in sorted(route.methods - {"HEAD"}))


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"authorization": f"Bearer {token}"}


async def test_every_route_but_the_public_ones_wants_a_token(guarded: Api):
    open_to_all = set()
    for method, path in routes_of(guarded.app):
        answer = await guarded.client.request(method, path)
        if answer.status_code != 401:
            open_to_all.add((method, path))
            continue
        refusal(answer, 401, "unauthenticated", says="Authorization: Bearer")
        assert answer.headers["www-authenticate"] == "Bearer"

    assert open_to_all == PUBLIC


async def test_a_probe_may_ask_for_the_head_alone(guarded: Api, idle: Api):
    for path in ("/health", "/ready"):
        got, head = await idle.client.get(path), await idle.client.head(path)
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(got.content)))
    assert (await guarded.client.head("/health")).status_code == 200
    assert (await guarded.client.head("/ready")).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        *("", "Bearer", "Bearer ", "Bearer wrong", "Bearer first", "Bearer first-token,", "Bearer \xff\xfe"),
        *("Bearer first-token, second-token", "Basic first-token", "first-token"),
    ],
)
async def test_a_wrong_token_is_refused(guarded: Api, header: str):
    answer = await guarded.client.get("/queue", headers={b"authorization": header.encode("latin-1")})

    refusal(answer, 401, "unauthenticated")


@pytest.mark.parametrize("header", ["Bearer first-token", "Bearer second-token", "bearer first-token"])
async def test_each_token_opens(guarded: Api, header: str):
    assert (await guarded.client.get("/queue", headers={"authorization": header})).status_code == 200


async def test_a_token_is_looked_at_before_the_body(guarded: Api):
    refusal(await guarded.post("/job", content=b"x" * 400_000), 401, "unauthenticated")


async def test_with_a_token_it_does_not_matter_where_a_request_comes_from(guarded: Api):
    headers = bearer("first-token") | {"host": "jobs.example.com", "sec-fetch-site": "cross-site"}

    assert (await guarded.client.get("/queue", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:80", "127.1.2.3:80", "[::1]", "[::1]:8000"],
)
async def test_without_tokens_a_local_name_may_call(idle: Api, host: str):
    assert (await idle.client.get("/queue", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("example.com", "example.com:8000", "localhost.example.com", "127.0.0.1.example.com", "xlocalhost"),
        *("10.0.0.1", "[fe80::1]:80", "127.0.0.1:80@example.com", "localhost:x"),
    ],
)
async def test_without_tokens_a_foreign_name_is_refused(idle: Api, host: str):
    """A page whose own DNS name leads to 127.0.0.1 cannot hide that name."""
    for method, path in set(routes_of(idle.app)) - PUBLIC:
        answer = await idle.client.request(method, path, headers={"host": host})
        if answer.status_code != 400:  # What cannot be a name at all is refused by the framework.
            refusal(answer, 403, "forbidden", says="web pages may not")


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)]
)
async def test_without_tokens_only_pages_of_ours_may_call(idle: Api, site: str, status: int):
    assert (await idle.client.get("/queue", headers={"sec-fetch-site": site})).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        *(("http://localhost", 200), ("http://evil.example", 403), ("http://localhost:3000", 403), ("null", 403)),
        *(("", 403), ("http://[", 403)),
    ],
)
async def test_without_tokens_a_page_is_known_by_its_origin_too(idle: Api, origin: str, status: int):
    """Of browsers that say nothing else."""
    assert (await idle.client.get("/queue", headers={"origin": origin})).status_code == status


@pytest.mark.parametrize(
    ("content_type", "open_status", "token_status"),
    [
        ("application/json", 201, 201),
        ("application/json; charset=utf-8", 201, 201),
        ("Application/JSON", 201, 201),
        (None, 415, 201),
        ("application/x-www-form-urlencoded", 415, 201),
        ("text/plain", 415, 415),
        ("multipart/form-data; boundary=x", 415, 415),
        ("application/jsonp", 415, 415),
        ("application/problem+json", 415, 415),
        ("*/*", 415, 415),
    ],
)
async def test_the_media_type_is_that_of_json(
    idle: Api, guarded: Api, content_type: str | None, open_status: int, token_status: int
):
    """A page may send forms and plain text to anywhere, so they count only with a token, which it has not."""
    headers = {} if content_type is None else {"content-type": content_type}

    without = await idle.client.post("/job", content=BODY, headers=headers)
    with_token = await guarded.client.post("/job", content=BODY, headers=headers | bearer("first-token"))

    assert (without.status_code, with_token.status_code) == (open_status, token_status)
    for answer in (without, with_token):
        if answer.status_code == 415:
            refusal(answer, 415, "unsupported_media_type", says="'Content-Type: application/json'")


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain"])
async def test_without_a_token_only_json_is_taken(idle: Api, content_type: str | None):
    headers = {} if content_type is None else {"content-type": content_type}

    for method, path in (("POST", "/job"), ("PUT", "/queue/q"), ("PUT", "/worker/w"), ("POST", "/job/x/receipt")):
        answer = await idle.client.request(method, path, content=BODY, headers=headers)
        refusal(answer, 415, "unsupported_media_type")


async def test_a_form_that_is_no_json_is_refused_as_such(guarded: Api):
    headers = bearer("first-token") | {"content-type": "application/x-www-form-urlencoded"}

    refusal(await guarded.client.post("/job", content=b"worker=a", headers=headers), 400, "invalid_json")


async def test_health_tells_everybody_and_nothing_secret(guarded: Api):
    answer = await guarded.client.get("/health", headers={"host": "example.com"})

    assert (answer.status_code, set(answer.json())) == (200, {"status", "version"})
