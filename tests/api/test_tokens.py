"""Tokens that are made: what each opens, for how long, and on which replica."""

import asyncio
import base64
from random import Random

import msgspec
import pytest

from coordinator.app import build_app
from coordinator.domain.tokens import SCOPES, Token, digest_of, token_of_setting, weakness
from coordinator.engine.tokens import TOKENS_LIMIT
from coordinator.errors import StoreUnavailable
from coordinator.settings import Settings
from coordinator.store.open import IN_PROCESS_URL, open_store, store_on
from tests.api.harness import Api, Json, client_of, eventually, living, refusal, resting

FIRST = "first-token-of-the-settings"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
async def guarded(start):
    """The application with a token of the settings, which its client has."""
    async with start(tokens=FIRST) as api:
        api.client.headers.update(bearer(FIRST))
        yield api


async def make(api: Api, *scopes: str, **more) -> Json:
    """A token that was made."""
    answer = await api.post("/token", {"name": "ci", "scopes": scopes} | more)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


async def status(api: Api, token: str, path: str = "/queue") -> int:
    return (await api.client.get(path, headers=bearer(token))).status_code


async def test_a_token_is_told_once_and_only_its_digest_is_kept(guarded: Api):
    made = await make(guarded, "read", "enqueue", queues=["mail-*"], expiresIn="90d")

    assert made["token"].startswith(f"co_{made['id']}_")
    assert (made["scopes"], made["queues"], made["isSetting"]) == (["read", "enqueue"], ["mail-*"], False)
    listed = (await guarded.client.get("/token")).json()["items"]
    assert [one["name"] for one in listed] == ["COORDINATOR_TOKENS 1", "ci"]
    assert made["token"] not in str(listed)
    kept = await guarded.app.state["replica"].store.connection.pairs(
        f"{guarded.app.state['replica'].store.connection.prefix}:tokens"
    )
    (record,) = kept.values()
    # The secret may hold an underscore itself: what stands behind the last one may be a letter, which is anywhere.
    assert made["token"].split("_", 2)[2].encode() not in record
    assert msgspec.json.decode(record)["digest"] == digest_of(made["token"])


async def test_a_revoked_token_opens_nothing_more(guarded: Api):
    made = await make(guarded, "read")
    assert await status(guarded, made["token"]) == 200

    assert (await guarded.client.delete(f"/token/{made['id']}")).status_code == 204

    assert await status(guarded, made["token"]) == 401
    refusal(await guarded.client.delete(f"/token/{made['id']}"), 404, "token_not_found")


async def test_an_expired_token_opens_nothing_more(guarded: Api):
    store = guarded.app.state["replica"].store
    text = "co_aaaaaaaa_" + "x" * 43
    now = await store.schedules.now()
    await store.tokens.put("aaaaaaaa", Token("old", digest_of(text), ("read",), (), now - 10, now - 1))

    guarded.app.state["replica"].tokens.forget()

    assert await status(guarded, text) == 401


async def test_a_token_of_the_settings_cannot_be_revoked(guarded: Api):
    (known,) = (await guarded.client.get("/token")).json()["items"]

    refusal(await guarded.client.delete(f"/token/{known['id']}"), 409, "invalid_state", says="COORDINATOR_TOKENS")


async def test_a_digest_in_the_settings_is_as_good_as_the_token(start):
    async with start(tokens=f"sha256:{digest_of(FIRST)}") as api:
        assert await status(api, FIRST) == 200
        assert await status(api, digest_of(FIRST)) == 401
        assert await status(api, f"sha256:{digest_of(FIRST)}") == 401


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "told of nothing"])
async def test_all_replicas_know_of_a_token_within_a_second(live_store, function, is_told, monkeypatch):
    """Also those that missed the message."""
    connection = live_store.connection
    settings = Settings(worker_url=function.url, tokens=FIRST, shutdown_grace_ms=0, poll_interval_ms=100)
    one, other = build_app(settings, live_store), build_app(settings, store_on(connection))
    async with living(one), living(other), client_of(one) as first, client_of(other) as second:
        first.headers.update(bearer(FIRST))
        if not is_told:
            monkeypatch.setattr(one.state["replica"], "_publish", lambda message: None)
        made = (await first.post("/token", json={"name": "x", "scopes": ["read"]})).json()

        async def is_(wanted: int) -> float:
            began = asyncio.get_running_loop().time()

            async def looked() -> Json | None:
                answer = await second.get("/queue", headers=bearer(made["token"]))
                return {} if answer.status_code == wanted else None

            await eventually(looked)
            return asyncio.get_running_loop().time() - began

        assert await is_(200) < 1.5
        await first.delete(f"/token/{made['id']}")
        assert await is_(401) < 1.5


async def test_when_a_token_was_used_is_listed(guarded: Api):
    made = await make(guarded, "read")
    await status(guarded, made["token"])

    async def noted() -> Json | None:
        items: list[Json] = (await guarded.client.get("/token")).json()["items"]
        return next((one for one in items if one["id"] == made["id"] and one["lastUsedAt"]), None)

    await eventually(noted)


@pytest.mark.parametrize(
    ("body", "path", "says"),
    [
        ({"scopes": ["read"]}, "name", "is required"),
        ({"name": "x", "scopes": []}, "scopes", "length >= 1"),
        ({"name": "x", "scopes": ["write"]}, "scopes[0]", "is none of"),
        ({"name": "x", "scopes": ["admin"], "queues": ["a"]}, "queues", "scope admin"),
        ({"name": "x", "scopes": ["read"], "queues": ["a b"]}, "queues[0]", "is no queue"),
        ({"name": "x", "scopes": ["read"], "queues": ["a*b"]}, "queues[0]", "is no queue"),
        ({"name": "x", "scopes": ["read"], "expiresIn": "1s", "expiresAt": 1}, "expiresAt", "give one"),
        ({"name": "x", "scopes": ["read"], "expiresAt": "2020-01-01"}, "expiresAt", "has passed"),
        ({"name": "x", "scopes": ["read"], "expiresIn": "-1s"}, "expiresIn", "not a duration"),
    ],
)
async def test_a_token_that_makes_no_sense_is_refused(guarded: Api, body: Json, path: str, says: str):
    problem = refusal(await guarded.post("/token", body), 422, "validation_error", path)

    assert says in problem["detail"].lower()
    assert len((await guarded.client.get("/token")).json()["items"]) == 1


async def test_there_are_only_so_many_tokens(guarded: Api):
    store = guarded.app.state["replica"].store.tokens
    for number in range(TOKENS_LIMIT):
        await store.put(f"t{number:07}", Token("x", "", ("read",)))

    refusal(await guarded.post("/token", {"name": "x", "scopes": ["read"]}), 409, "limit_reached", says="revoke some")


async def test_the_first_token_that_is_made_closes_the_open_door():
    async with resting() as api:
        assert (await api.client.get("/queue")).status_code == 200
        made = await make(api, "admin")

        refusal(await api.client.get("/queue"), 401, "unauthenticated")
        assert await status(api, made["token"]) == 200


@pytest.mark.parametrize("is_known", [True, False], ids=["made here", "made by a version before"])
async def test_the_door_stays_closed_when_the_last_token_is_revoked(is_known: bool):
    async with resting() as api:
        made = await make(api, "admin")
        store = api.app.state["replica"].store
        if not is_known:
            await store.connection.call("HDEL", f"{store.connection.prefix}:meta", "closed")

        answer = await api.client.delete(f"/token/{made['id']}", headers=bearer(made["token"]))

        assert answer.status_code == 204
        refusal(await api.client.get("/queue"), 401, "unauthenticated")


async def test_to_revoke_what_there_is_not_leaves_the_door_open():
    async with resting() as api:
        refusal(await api.client.delete("/token/nosuchid"), 404, "token_not_found")
        api.app.state["replica"].tokens.forget()

        assert (await api.client.get("/queue")).status_code == 200


async def test_while_redis_is_away_one_request_finds_that_out_for_all(monkeypatch):
    """Each of a hundred would wait for the time-out of those before it."""
    async with resting() as api:
        store, asked = api.app.state["replica"].store.tokens, []

        async def fail():
            asked.append(1)
            await asyncio.sleep(0)
            raise StoreUnavailable("redis_unavailable", "away")

        monkeypatch.setattr(store, "read_all", fail)
        answers = await asyncio.gather(*(api.client.get("/queue") for _ in range(20)))

        assert {answer.status_code for answer in answers} == {503}
        assert len(asked) == 1


async def test_a_door_to_the_world_is_never_open():
    """Also when the last token was revoked while it was served."""
    store = open_store(IN_PROCESS_URL, shards=1)
    app = build_app(Settings(host="0.0.0.0", worker_url="http://127.0.0.1:9/"), store)
    async with client_of(app) as client:
        refusal(await client.get("/queue"), 401, "unauthenticated")
    await store.close()


@pytest.mark.parametrize(
    "token",
    [
        *("x" * 40, "secret", "changeme-please", "changeme-changeme", "1234567890123456", "abcdefghijklmnopqrstuvwxyz"),
        *("zyxwvutsrqponmlkji", "<long random text>", "my-secret-password-token", "0123456789abcdef0123456789abcdef"),
        *("sha256:abc", "sha256:" + "g" * 64, "SHA256:" + "a" * 63, "password1234567890"),
    ],
)
def test_what_can_be_guessed_is_known(token: str):
    assert weakness(token)


def test_what_was_drawn_by_chance_is_taken():
    drawn = Random(1)
    for _ in range(2000):
        raw = drawn.randbytes(16)
        for token in (raw.hex(), base64.b64encode(raw).decode()):
            assert weakness(token) is None, token
    for digest in (digest_of("a"), digest_of("a").upper()):
        assert weakness(f"sha256:{digest}") is None
        assert token_of_setting(f"sha256:{digest}", 1) == token_of_setting("a", 1)


async def test_each_scope_is_one_word_of_the_interface(guarded: Api):
    made = await make(guarded, *SCOPES[:-1])

    assert made["scopes"] == ["enqueue", "receipt", "read", "manage"]
