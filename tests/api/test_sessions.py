"""Signing in: what a session is worth, for how long, and that no other site's page can use it."""

import base64
import contextlib
import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from coordinator.app import build_app
from coordinator.domain.session import PURPOSE, VALID_FOR_S, Session, cookie_of
from coordinator.domain.tokens import Token, digest_of
from coordinator.settings import Settings
from coordinator.store.embedded import EmbeddedServer
from coordinator.store.open import IN_PROCESS_URL, Store, open_store, store_on
from tests.api.harness import Api, Json, client_of, eventually, living, refusal, resting
from tests.api.test_permissions import bearer, everything

ADMIN = "token-of-the-administrator"
ADMIN_ID = f"env-{digest_of(ADMIN)[:8]}"
PAGE = {"sec-fetch-site": "same-origin"}


def key(number: int) -> str:
    return f"k{number}:{base64.b64encode(bytes([number]) + os.urandom(31)).decode()}"


@contextlib.asynccontextmanager
async def serving(store: Store | None = None, url: str = "http://localhost", **settings: Any) -> AsyncIterator[Api]:
    """The application at rest, reached by a URL; its client keeps no cookies."""
    settings = {"tokens": ADMIN, "worker_url": "http://127.0.0.1:9/"} | settings
    kept = store or open_store(IN_PROCESS_URL, shards=1)
    app = build_app(Settings(**settings), kept)
    async with client_of(app, url) as client:
        yield Api(app, client)
    if store is None:
        await kept.close()


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """The application at rest, as a browser on this machine reaches it."""
    async with serving() as api:
        yield api


async def sign_in(api: Api, token: str = ADMIN, **headers: str) -> httpx.Response:
    answer = await api.post("/session", {"token": token}, headers=headers)
    api.client.cookies.clear()
    return answer


async def cookie_for(api: Api, token: str = ADMIN) -> str:
    """`name=value`, as a browser sends it back."""
    answer = await sign_in(api, token)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["set-cookie"].partition(";")[0])


async def made(api: Api, *scopes: str, **more: object) -> Json:
    answer = await api.post("/token", {"name": "mine", "scopes": scopes} | more, headers=bearer(ADMIN))
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


async def status(api: Api, cookie: str, path: str = "/queue") -> int:
    return (await api.client.get(path, headers={"cookie": cookie})).status_code


def seconds_to(instant: str) -> float:
    return time.mktime(time.strptime(instant[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - time.time()


async def test_who_signs_in_is_told_whose_token_it_is_and_known_by_a_cookie(api: Api):
    token = await made(api, "read", "manage", queues=["mail-*"])

    answer = await sign_in(api, token["token"])
    told = answer.json()
    cookie = answer.headers["set-cookie"].partition(";")[0]
    again = await api.client.get("/session", headers={"cookie": cookie})

    assert answer.status_code == 201
    assert told | {"expiresAt": None} == {
        "tokenId": token["id"],
        "name": "mine",
        "scopes": ["manage", "read"],
        "queues": ["mail-*"],
        "expiresAt": None,
        "isOpen": False,
    }
    assert VALID_FOR_S - 10 < seconds_to(told["expiresAt"]) <= VALID_FOR_S
    assert (again.status_code, again.json()) == (200, told)
    assert answer.headers["cache-control"] == again.headers["cache-control"] == "no-store"
    assert token["token"] not in cookie


async def test_a_token_itself_is_told_the_same_and_its_own_end(api: Api):
    token = await made(api, "enqueue", expiresIn="30d")

    told = (await api.client.get("/session", headers=bearer(token["token"]))).json()
    forever = (await api.client.get("/session", headers=bearer(ADMIN))).json()

    assert (told["tokenId"], told["scopes"], told["expiresAt"]) == (token["id"], ["enqueue"], token["expiresAt"])
    assert (forever["tokenId"], forever["scopes"], forever["expiresAt"]) == (ADMIN_ID, ["admin"], None)


@pytest.mark.parametrize("scope", ["enqueue", "receipt", "read", "manage", "admin"])
async def test_any_scope_is_enough_to_know_oneself(api: Api, scope: str):
    cookie = await cookie_for(api, (await made(api, scope))["token"])

    answer = await api.client.get("/session", headers={"cookie": cookie})

    assert (answer.status_code, answer.json()["scopes"]) == (200, [scope])
    assert await status(api, cookie) == (200 if scope in ("read", "admin") else 403)


async def test_without_tokens_everybody_on_this_machine_is_the_administrator():
    async with resting() as api:
        told = (await api.client.get("/session", headers=PAGE)).json()

        assert told == {
            "tokenId": None,
            "name": None,
            "scopes": ["admin"],
            "queues": [],
            "expiresAt": None,
            "isOpen": True,
        }
        refusal(await sign_in(api, "anything"), 401, "unauthenticated")
        assert await status(api, "co_session=s1.r0.env-00000000.9999999999." + "x" * 43) == 200


@pytest.mark.parametrize(
    ("host", "url", "is_plain"),
    [
        ("127.0.0.1", "http://localhost", True),
        ("::1", "http://[::1]:8000", True),
        ("127.0.0.1", "https://localhost", False),
        ("0.0.0.0", "http://localhost", False),
        ("0.0.0.0", "https://jobs.example.com", False),
    ],
)
async def test_the_cookie_is_for_this_host_alone_and_out_of_reach_of_scripts(host: str, url: str, is_plain: bool):
    async with serving(url=url, host=host) as api:
        answer = await sign_in(api)
        begun, *attributes = answer.headers["set-cookie"].split("; ")
        ended = await api.client.delete("/session", headers={"cookie": begun} | PAGE)
        name, _, value = begun.partition("=")
        other = "__Host-co" if is_plain else "co_session"

        assert name == ("co_session" if is_plain else "__Host-co")
        left = int(attributes[0].removeprefix("Max-Age="))
        assert VALID_FOR_S - 10 < left <= VALID_FOR_S
        assert attributes[1:] == ["Path=/", "HttpOnly", "SameSite=Strict", *([] if is_plain else ["Secure"])]
        assert await status(api, begun) == 200
        assert await status(api, f"{other}={value}") == 401
        assert ended.status_code == 204
        assert ended.headers.get_list("set-cookie") == ["; ".join([f"{name}=", "Max-Age=0", *attributes[1:]])]


async def test_a_session_ends_with_its_token_at_the_latest(api: Api):
    token = await made(api, "read", expiresIn="90s")

    answer = await sign_in(api, token["token"])

    assert 80 < int(answer.headers["set-cookie"].split("Max-Age=")[1].partition(";")[0]) <= 90
    assert seconds_to(answer.json()["expiresAt"]) <= 90


async def test_only_a_token_of_the_interface_signs_in(api: Api):
    call = api.app.state["replica"].receipt_tokens
    await call.agree()
    for wrong in ("", "wrong", ADMIN[:-1], digest_of(ADMIN), ADMIN_ID, "rt1.r0.1.nonce.9999999999." + "x" * 43):
        answer = await sign_in(api, wrong)
        refusal(answer, 422 if wrong == "" else 401, "validation_error" if wrong == "" else "unauthenticated")
        assert "set-cookie" not in answer.headers
    session = (await cookie_for(api)).partition("=")[2]
    refusal(await sign_in(api, session), 401, "unauthenticated")
    refusal(await api.client.get("/session", headers=bearer(session)), 401, "unauthenticated")


async def test_wrong_tokens_are_counted_here_too(api: Api):
    for _ in range(10):
        refusal(await sign_in(api, "wrong"), 401, "unauthenticated")

    refusal(await sign_in(api, "wrong"), 429, "rate_limited")
    assert (await sign_in(api)).status_code == 201


async def test_a_session_has_the_scopes_and_queues_of_its_token(api: Api):
    token = await made(api, "read", "enqueue", queues=["mine"])
    headers = {"cookie": await cookie_for(api, token["token"])} | PAGE

    allowed = await api.post("/job", {"worker": "w", "queue": "mine"}, headers=headers)
    elsewhere = await api.post("/job", {"worker": "w", "queue": "other"}, headers=headers)
    beyond = await api.post("/queue/mine/pause", {}, headers=headers)

    assert allowed.status_code == 201
    refusal(elsewhere, 403, "forbidden", says="the queues mine")
    refusal(beyond, 403, "forbidden", says="the scope manage")


async def test_a_token_goes_before_a_session(api: Api):
    reader = (await made(api, "read"))["token"]
    cookie = await cookie_for(api)

    told = await api.client.get("/session", headers=bearer(reader) | {"cookie": cookie})
    wrong = await api.client.get("/session", headers=bearer("wrong") | {"cookie": cookie})
    proxied = await api.client.get("/session", headers={"authorization": "Basic eDp5", "cookie": cookie})

    assert told.json()["scopes"] == ["read"]
    refusal(wrong, 401, "unauthenticated")
    assert proxied.json()["scopes"] == ["admin"]


async def test_what_is_told_to_a_session_is_for_no_cache(api: Api):
    cookie = await cookie_for(api)

    told = [await api.client.get(path, headers={"cookie": cookie}) for path in ("/queue", "/job/none", "/session")]

    assert [answer.headers.get_list("cache-control") for answer in told] == [["no-store"]] * 3


def forged(cookie: str) -> Iterator[str]:
    """What is near a cookie of ours."""
    name, _, value = cookie.partition("=")
    parts = value.split(".")
    for at, others in enumerate(
        (
            ("s2", "", "S1"),
            ("k9", "", "r0"),
            ("env-00000000", "aaaaaaaa", "", "*", "env-", parts[2].upper()),
            (str(int(parts[3]) + 1), f"0{parts[3]}", "9" * 12, "9" * 13, "-1", "", "1e9"),
            ("A" * 43, parts[4][:-1], parts[4] + "A", parts[4] + "=", parts[4].swapcase(), ""),
        )
    ):
        yield from (f"{name}=" + ".".join([*parts[:at], other, *parts[at + 1 :]]) for other in others)
    yield from (f"{name}={text}" for text in ("", ".", value[:-1], value[1:], value + ".", f"{value}.{parts[4]}"))
    yield from (f"x{name}={value}", f"{name}", value, f"{name}={ADMIN}", f"{name}={ADMIN_ID}", f"{name}=%00", "=", ";")


async def test_a_cookie_that_is_none_of_ours_opens_nothing_and_changes_nothing():
    async with serving(keys=key(1)) as api:
        cookie = await cookie_for(api)
        assert await status(api, cookie) == 200
        before = await everything(api)

        for text in forged(cookie):
            for method, path in (("GET", "/queue"), ("DELETE", "/queue/q"), ("POST", "/job")):
                headers = {"cookie": text} | PAGE
                body = {"worker": "w"} if method == "POST" else None
                answer = await api.client.request(method, path, json=body, headers=headers)
                refusal(answer, 401, "unauthenticated")
        assert await everything(api) == before


async def test_a_cookie_of_another_key_opens_nothing_and_of_an_older_one_does():
    old, new = key(1), key(2)
    store = open_store(IN_PROCESS_URL, shards=1)
    async with serving(store, keys=old) as api:
        cookie = await cookie_for(api)
    async with serving(store, keys=f"{new},{old}") as api:
        assert await status(api, cookie) == 200
        assert (await cookie_for(api)).startswith("co_session=s1.k2.")
    async with serving(store, keys=new) as api:
        assert await status(api, cookie) == 401
    async with serving(store) as api:
        assert await status(api, cookie) == 401
    await store.close()


async def test_a_cookie_of_another_coordinator_opens_nothing(api: Api):
    async with serving() as other:
        assert await status(other, await cookie_for(api)) == 401


async def test_another_token_in_the_settings_ends_the_sessions():
    store = open_store(IN_PROCESS_URL, shards=1)
    async with serving(store) as api:
        cookie = await cookie_for(api)
    async with serving(store, tokens="another-token-of-the-administrator") as api:
        assert await status(api, cookie) == 401
    async with serving(store, tokens=f"sha256:{digest_of(ADMIN)}") as api:
        assert await status(api, cookie) == 200
    await store.close()


async def test_who_can_read_redis_cannot_forge_a_session_of_a_token_of_the_settings(api: Api):
    """The key is there while none is in the settings; the digest that it takes beside it is not."""
    await cookie_for(api)
    keys = await api.app.state["replica"].sessions._shared.derived(PURPOSE)
    ((key_id, found),) = keys.items()
    session = Session(ADMIN_ID, int(time.time()) + 60)

    assert await status(api, f"co_session={cookie_of(session, digest_of(ADMIN), key_id, found)}") == 200
    assert await status(api, f"co_session={cookie_of(session, ADMIN_ID, key_id, found)}") == 401


@pytest.mark.parametrize("left_s", [0, -1, -VALID_FOR_S])
async def test_a_session_that_has_ended_opens_nothing(api: Api, left_s: int):
    await cookie_for(api)
    ((key_id, found),) = (await api.app.state["replica"].sessions._shared.derived(PURPOSE)).items()
    ended = cookie_of(Session(ADMIN_ID, int(time.time()) + left_s), digest_of(ADMIN), key_id, found)

    assert await status(api, f"co_session={ended}") == 401


async def test_a_token_that_expires_takes_its_sessions_with_it(api: Api):
    replica = api.app.state["replica"]
    text = "co_aaaaaaaa_" + "x" * 43
    await replica.store.tokens.put("aaaaaaaa", Token("t", digest_of(text), ("read",)))
    cookie = await cookie_for(api, text)
    assert await status(api, cookie) == 200

    await replica.store.tokens.put("aaaaaaaa", Token("t", digest_of(text), ("read",), (), 1, 2))
    replica.tokens.forget()

    assert await status(api, cookie) == 401


async def test_a_new_token_under_the_id_of_an_old_one_does_not_revive_its_sessions(api: Api):
    replica = api.app.state["replica"]
    text, other = "co_aaaaaaaa_" + "x" * 43, "co_aaaaaaaa_" + "y" * 43
    await replica.store.tokens.put("aaaaaaaa", Token("t", digest_of(text), ("read",)))
    cookie = await cookie_for(api, text)

    await replica.store.tokens.put("aaaaaaaa", Token("t", digest_of(other), ("admin",)))
    replica.tokens.forget()

    assert await status(api, cookie) == 401


async def test_a_revoked_token_ends_its_sessions_on_all_replicas_within_a_second(live_store: Store, monkeypatch):
    """Also on one that missed the message."""
    settings = Settings(tokens=ADMIN, worker_url="http://127.0.0.1:9/", shutdown_grace_ms=0, poll_interval_ms=100)
    one, other = build_app(settings, live_store), build_app(settings, store_on(live_store.connection))
    async with living(one), living(other), client_of(one) as first, client_of(other) as second:
        api, there = Api(one, first), Api(other, second)
        monkeypatch.setattr(one.state["replica"], "_publish", lambda message: None)
        token = await made(api, "read")
        cookie = await cookie_for(api, token["token"])

        async def opened() -> Json | None:
            return {} if await status(there, cookie) == 200 else None

        async def closed() -> Json | None:
            return {} if await status(there, cookie) == 401 else None

        await eventually(opened)
        await first.delete(f"/token/{token['id']}", headers=bearer(ADMIN))
        assert await status(api, cookie) == 401
        began = time.monotonic()
        await eventually(closed)
        assert time.monotonic() - began < 1.5


SITES = (None, "same-origin", "same-site", "cross-site", "none")
ORIGINS = (
    *(None, "http://localhost", "https://localhost", "http://LOCALHOST", "http://localhost:8000", "null", ""),
    *(
        "http://evil.example",
        "http://localhost.evil.example",
        "http://evil.example/localhost",
        "http://[::1",
        "localhost",
    ),
)
HOSTS = ("localhost", "jobs.example.com")


def may_pass(site: str | None, origin: str | None, host: str) -> bool:
    """By the rule, written another way: the browser's word counts, and only without it the origin does."""
    if site is not None:
        return site == "same-origin"
    return (origin or "").lower() in (f"http://{host}", f"https://{host}")


def said(site: str | None, origin: str | None, host: str) -> dict[str, str]:
    named = {"sec-fetch-site": site, "origin": origin, "host": host}
    return {name: value for name, value in named.items() if value is not None}


async def test_only_a_page_of_ours_changes_something_by_a_session(api: Api):
    cookie = {"cookie": await cookie_for(api)}
    for site, origin, host in itertools.product(SITES, ORIGINS, HOSTS):
        headers, is_ours = cookie | said(site, origin, host), may_pass(site, origin, host)
        before = await everything(api)
        for method, path in (
            ("POST", "/job"),
            ("PUT", "/queue/q"),
            ("PATCH", "/job/x"),
            ("DELETE", "/queue/q"),
            ("DELETE", "/session"),
            ("POST", "/job/x/receipt"),
        ):
            body = {"worker": "w"} if path == "/job" else {}
            answer = await api.client.request(method, path, json=body, headers=headers)
            if is_ours:
                assert answer.status_code not in (401, 403), (headers, method, path)
            else:
                refusal(answer, 403, "forbidden", says="pages of this coordinator only")
        assert (await everything(api) == before) != is_ours, headers
        assert (await api.client.get("/queue", headers=headers)).status_code == 200


async def test_a_token_may_be_sent_from_anywhere(api: Api):
    cookie = await cookie_for(api)
    for site, origin, host in itertools.product(SITES, ORIGINS, HOSTS):
        headers = said(site, origin, host) | bearer(ADMIN) | {"cookie": cookie}
        assert (await api.client.put("/queue/q", json={}, headers=headers)).status_code == 200


async def test_another_sites_page_signs_nobody_in_as_somebody_else(api: Api):
    for site, origin, host in itertools.product(SITES, ORIGINS, HOSTS):
        answer = await sign_in(api, **said(site, origin, host))
        if may_pass(site, origin, host) or (site is None and origin is None):
            assert answer.status_code == 201
        else:
            refusal(answer, 403, "forbidden")
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("content_type", "is_taken"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        (None, False),
        ("application/x-www-form-urlencoded", False),
        ("text/plain", False),
        ("multipart/form-data; boundary=x", False),
    ],
)
@pytest.mark.parametrize("more", [{}, {"authorization": "Basic eDp5"}], ids=["", "beside a proxy's password"])
async def test_a_session_sends_json_and_no_forms(api: Api, content_type: str | None, is_taken: bool, more: Json):
    headers = PAGE | more | ({} if content_type is None else {"content-type": content_type})
    cookie = {"cookie": await cookie_for(api)}

    enqueued = await api.client.post("/job", content=b'{"worker":"w"}', headers=headers | cookie)
    signed_in = await api.client.post("/session", content=f'{{"token":"{ADMIN}"}}'.encode(), headers=headers)

    assert [enqueued.status_code, signed_in.status_code] == ([201, 201] if is_taken else [415, 415])


async def test_no_answer_lets_another_origin_read_it(api: Api):
    headers = {"origin": "https://evil.example", "cookie": await cookie_for(api)}

    for path in ("/session", "/queue", "/ui", "/ui/dashboard.js"):
        answer = await api.client.get(path, headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    asked = await api.client.options("/session", headers={"origin": "https://evil.example"})
    refusal(asked, 401, "unauthenticated")


async def test_a_known_session_needs_no_redis(real_server: EmbeddedServer):
    """As a token does not: what was known counts for a minute."""
    async with serving(open_store(real_server.url, shards=1)) as api:
        cookie = await cookie_for(api, (await made(api, "read"))["token"])
        assert await status(api, cookie, "/session") == 200

        real_server.kill()

        assert await status(api, cookie, "/session") == 200
        await api.app.state["replica"].store.close()
