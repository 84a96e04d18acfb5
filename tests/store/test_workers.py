"""The register of workers."""

from coordinator.domain.worker import Worker

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
