"""The register of workers."""

import pytest

from coordinator.domain.worker import AwsSigV4, Bearer, GoogleIdToken, Worker

RESIZE = Worker("https://example.com/resize", ack="response", headers={"x-key": "k"}, timeout_ms=5000, queue="shop")


async def test_what_is_put_is_read(shard):
    workers = shard.store.workers

    assert await workers.put("resize", RESIZE) is True
    assert await workers.put("mail", Worker("https://example.com/mail")) is True

    assert await workers.read_all() == {"resize": RESIZE, "mail": Worker("https://example.com/mail")}


async def test_what_is_put_again_is_replaced(shard):
    workers = shard.store.workers
    await workers.put("resize", RESIZE)

    assert await workers.put("resize", Worker("https://example.com/2")) is False

    assert await workers.read_all() == {"resize": Worker("https://example.com/2")}


async def test_what_is_deleted_is_gone(shard):
    workers = shard.store.workers
    await workers.put("resize", RESIZE)

    assert await workers.delete("resize") is True
    assert await workers.delete("resize") is False

    assert await workers.read_all() == {}


@pytest.mark.parametrize(
    "auth",
    [
        Bearer("env:TOKEN"),
        GoogleIdToken("https://example.com/"),
        AwsSigV4(region="eu-central-1", service="lambda"),
        AwsSigV4(region="eu-central-1", service="lambda", access_key_id="a", secret_access_key="b", session_token="c"),
    ],
)
async def test_auth_is_read_as_it_was_put(shard, auth):
    worker = Worker("https://example.com/", auth=auth)
    await shard.store.workers.put("a", worker)

    assert await shard.store.workers.read_all() == {"a": worker}


async def test_a_record_of_before_is_read(shard):
    await put_record(shard, "old", b'{"url":"https://example.com/old"}')

    assert await shard.store.workers.read_all() == {"old": Worker("https://example.com/old")}


@pytest.mark.parametrize(
    ("record", "outline"),
    [
        (
            b'{"url":"https://a/","queue":"q","timeoutMs":5,"owner":"me","auth":{"type":"of-tomorrow"}}',
            Worker("https://a/", queue="q", timeout_ms=5, owner="me", unreadable=True),
        ),
        (b'{"url":"https://a/","ack":"of-tomorrow"}', Worker("https://a/", unreadable=True)),
        (b'{"url":7}', Worker("", unreadable=True)),
        (b"{", Worker("", unreadable=True)),
        (b"\xff", Worker("", unreadable=True)),
    ],
)
async def test_a_record_that_cannot_be_read_costs_no_other(shard, record, outline):
    await shard.store.workers.put("resize", RESIZE)
    await put_record(shard, "new", record)

    assert await shard.store.workers.read_all() == {"resize": RESIZE, "new": outline}


async def put_record(shard, name: str, record: bytes) -> None:
    """As another version may have written it."""
    connection = shard.store.connection
    await connection.call("HSET", f"{connection.prefix}:workers", name, record)
