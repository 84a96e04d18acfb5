"""A coordinator with an hour of a small shop's work behind it, for pictures of the dashboard.

The store's clock starts in the past, and jumps from minute to minute. So an hour is worked through in seconds, by a
real replica that calls a real function, and at the end the clock is that of this machine.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from coordinator.api.dev import DemoCall
from coordinator.app import build_app
from coordinator.edges.limits import Limits
from coordinator.server import bind, serve
from coordinator.settings import Settings
from coordinator.store.embedded import EmbeddedServer, find_program
from coordinator.store.open import Store, open_store

MINUTE = 60_000
SHARDS = 4
CALM_TRIES = 40
RUSH_MINUTES = 6
ADMIN = "the-token-of-the-pictures-1"
SINGLE_KEYS = ("replicas", "meta", "tokens", "audit")

JOBS = (
    ("send-email", "mail", 9, {"to": "ada@example.com", "template": "order-confirmed", "order": 10432}),
    ("resize-image", "images", 6, {"url": "https://cdn.example.com/p/4711.jpg", "sizes": [320, 640, 1280]}),
    ("sync-inventory", "shopify", 4, {"shop": "blue-door.myshopify.com", "cursor": "eyJsYXN0X2lkIjo0Mn0"}),
    ("charge-card", "billing", 2, {"invoice": "in_1042", "amount": 4990, "currency": "eur"}),
    ("index-product", "search", 5, {"id": 4711, "fields": ["title", "price"]}),
)
SHOPS = ("blue-door.myshopify.com", "north-mill.myshopify.com", "kite-and-co.myshopify.com")
STACK = """Traceback (most recent call last):
  File "/srv/functions/billing.py", line 88, in charge_card
    answer = gateway.charge(invoice, amount)
  File "/srv/functions/gateway.py", line 41, in charge
    raise CardDeclined(answer["code"])
gateway.CardDeclined: insufficient_funds (invoice in_1042)"""
FAILURES: dict[str, tuple[float, bool, dict[str, Any]]] = {
    "charge-card": (0.16, False, {"type": "CardDeclined", "message": "insufficient_funds", "stack": STACK}),
    "sync-inventory": (0.07, True, {"type": "TimeoutError", "message": "the shop did not answer within 10 s"}),
    "resize-image": (0.03, True, {"type": "DecodeError", "message": "not a JPEG file: starts with 0x3c 0x68"}),
    "send-email": (0.012, True, {"type": "SMTPError", "message": "421 too many connections from your host"}),
    "nightly-report": (0.25, True, {"type": "QueryCancelled", "message": "canceling statement due to timeout"}),
}
SECONDS = {"send-email": 0.02, "resize-image": 0.09, "sync-inventory": 0.05, "charge-card": 0.03, "export-orders": 60.0}


class World:
    """What there is to see. Give it a directory that is empty."""

    def __init__(self, directory: Path, minutes: int) -> None:
        program = find_program()
        if program is None:
            msg = "no Redis and no Valkey server on this machine"
            raise RuntimeError(msg)
        self._server = EmbeddedServer(program, directory)
        self._random = random.Random(7)
        self._minutes = minutes
        self._offset = -minutes * MINUTE
        self.url = ""
        self.token = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["World"]:
        """Serve until the block ends."""
        self._server.start()
        store = open_store(self._server.url, shards=SHARDS, test_clock=True)
        keeper = asyncio.create_task(self._keep_time(store))
        settings = Settings(
            port=0, tokens=ADMIN, shards=SHARDS, egress_allow="127.0.0.0/8", worker_url="http://127.0.0.1/demo",
            shutdown_grace_ms=200, log_level="error",
        )  # fmt: skip
        listener = bind(settings)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = msgspec.structs.replace(settings, worker_url=f"{self.url}/demo", public_url=self.url)
        app = build_app(settings, store, demo=self, takes_literal_secrets=True)
        up, over = asyncio.Event(), asyncio.Event()

        async def meanwhile() -> None:
            up.set()
            await over.wait()

        served = asyncio.create_task(serve(app, app.state["replica"], listener, meanwhile, limits=Limits()))
        await up.wait()
        try:
            yield self
        finally:
            over.set()
            await served
            keeper.cancel()
            self._server.stop()

    async def live(self) -> None:
        """Work through the minutes up to now, and leave something of every kind."""
        minute = _now_ms() // MINUTE * MINUTE - (self._minutes - 1) * MINUTE
        async with httpx.AsyncClient(base_url=self.url, headers=_AUTHORIZED, timeout=60, trust_env=False) as client:
            ask = Ask(client)
            await self._declare(ask)
            while minute < _now_ms():
                # Each begins as minutes do, so that what is due by cron or by a retry does not wait for the jump.
                self._offset = minute - _now_ms()
                await asyncio.sleep(0.03)
                passed = minute // MINUTE % 60
                wave = 1 + 0.5 * (passed % 17) / 17 + (1.2 if passed % 30 < RUSH_MINUTES else 0)
                await ask("POST", "/job/batch", {"jobs": self._jobs(wave)})
                await ask("POST", "/tick?wait=5s")
                await self._calm(client)
                minute += MINUTE
            self._offset = 0
            await asyncio.sleep(0.1)
            await self._leave(ask)

    async def _declare(self, ask: "Ask") -> None:
        self.token = (await ask("POST", "/token", {"name": "Ada Lovelace", "scopes": ["admin"]}))["token"]
        await ask("POST", "/token", {"name": "shop", "scopes": ["enqueue", "read"], "queues": ["mail", "shop*"]})
        functions = f"{self.url}/demo"
        for worker in (*[job[0] for job in JOBS], "nightly-report", "export-orders", "*"):
            await ask("PUT", f"/worker/{worker}", {"url": functions, "timeout": "10m"})
        await ask("PUT", "/queue/shopify", {"preset": "shopify-rest", "perKey": {"concurrency": 4}})
        await ask("PUT", "/queue/mail", {"concurrency": 20, "rate": {"limit": 50, "period": "1s"}})
        await ask("PUT", "/queue/billing", {"concurrency": 5, "defaults": {"maxAttempts": 4}})
        for name, rule in (
            ("nightly-report", {"cron": "*/5 * * * *", "timezone": "Europe/Berlin"}),
            ("sync-all-shops", {"every": "2m", "worker": "sync-inventory", "queue": "shopify"}),
            ("weekly-digest", {"cron": "0 8 * * 1", "timezone": "America/New_York", "worker": "send-email"}),
            ("clean-up", {"cron": "*/10 * * * *", "worker": "index-product", "queue": "search"}),
        ):
            body = {"worker": name, "queue": "reports", "args": {"format": "pdf"}, "retry": ["1m"]} | rule
            await ask("PUT", f"/schedule/{name}", body)

    def _jobs(self, wave: float) -> list[dict[str, Any]]:
        jobs = []
        for worker, queue, number, args in JOBS:
            for _ in range(round(number * wave * self._random.uniform(0.6, 1.3))):
                job: dict[str, Any] = {"worker": worker, "queue": queue, "args": args, "retry": ["1m", "2m"]}
                if queue == "shopify":
                    job["key"] = self._random.choice(SHOPS)
                if worker == "charge-card":
                    job["tags"] = ["checkout"]
                jobs.append(job)
        return jobs

    async def _leave(self, ask: "Ask") -> None:
        await ask("POST", "/queue/images/pause")
        await ask("POST", "/schedule/clean-up/pause")
        images = [{"worker": "resize-image", "queue": "images", "args": JOBS[1][3]} for _ in range(148)]
        await ask("POST", "/job/batch", {"jobs": images})
        for key, number in zip(SHOPS, (31, 12, 4), strict=True):
            work = {"worker": "sync-inventory", "queue": "shopify", "key": key, "args": {"shop": key}}
            await ask("POST", "/job/batch", {"jobs": [work] * number})
        throttled = {"worker": "throttled", "queue": "shopify", "key": "busy-bee.myshopify.com"}
        await ask("POST", "/job/batch", {"jobs": [throttled] * 18})
        later = {"worker": "send-email", "queue": "mail", "args": JOBS[0][3], "delay": "47m", "tags": ["reminder"]}
        await ask("POST", "/job/batch", {"jobs": [later] * 23})
        running = {"worker": "export-orders", "queue": "reports", "args": {"since": "2026-01-01"}, "timeout": "20m"}
        await ask("POST", "/job/batch", {"jobs": [running] * 3})
        again = {"worker": "flaky", "queue": "billing", "args": {"invoice": "in_1042"}, "retry": ["4m", "20m", "2h"]}
        await ask("POST", "/job/batch", {"jobs": [again] * 3})
        await asyncio.sleep(1.5)

    async def _calm(self, client: httpx.AsyncClient) -> None:
        """Wait until nothing runs but what is meant to: a jump in the middle of a call would make it long."""
        for _ in range(CALM_TRIES):
            queues = (await client.get("/queue")).raise_for_status().json()["items"]
            if not any(queue["running"] + queue["queued"] for queue in queues):
                return
            await asyncio.sleep(0.05)

    async def _keep_time(self, store: Store) -> None:
        """Set the clock of every shard, a hundred times a second."""
        call = store.connection.call
        names = [f"{store.connection.root(shard)}:clock" for shard in range(SHARDS)]
        names += [f"{{co:{name}}}:clock" for name in SINGLE_KEYS]
        while True:
            now = _now_ms() + self._offset
            for name in names:
                await call("SET", name, now)
            await asyncio.sleep(0.01)

    @property
    def calls(self) -> Iterable[DemoCall]:
        """None: nobody looks at them."""
        return ()

    async def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Do what is called; what that is depends on the worker's name."""
        del headers
        status, receipt = await self._receipt(msgspec.json.decode(body))
        return status, msgspec.json.encode(receipt)

    async def _receipt(self, call: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        worker = call["worker"]
        if call.get("ping"):
            return 200, {"pong": True, "sdk": "python 0.1.0", "workers": sorted(SECONDS)}
        if worker == "export-orders":
            return await self._export(call)
        await asyncio.sleep(SECONDS.get(worker, 0.01) * self._random.uniform(0.4, 1.8))
        if worker == "throttled":
            return 200, {"status": "throttled", "retryAfter": "4m"}
        if worker == "flaky":
            return 200, {"status": "failure", "error": {"type": "GatewayTimeout", "message": "502 from the bank"}}
        chance, is_retryable, error = FAILURES.get(worker, (0.0, True, {}))
        if self._random.random() < chance:
            return 200, {"status": "failure", "retryable": is_retryable, "error": error}
        return 200, {"status": "success", "result": {"ok": True, "bytes": self._random.randrange(9_000)}}

    async def _export(self, call: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        beat = {"progress": self._random.choice((34, 62, 81)), "message": "page 34 of 55", "token": call["token"]}
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(call["receiptUrl"].replace("/receipt", "/heartbeat"), json=beat)
        return 202, {"status": "running"}


class Ask:
    """Asks the API; what is refused is an error."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Send it, and give the answer. Raises `RuntimeError`."""
        answer = await self._client.request(method, path, json=body)
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            msg = f"{method} {path} answered {answer.status_code}: {answer.text}"
            raise RuntimeError(msg)
        return answer.json() if answer.content else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


_AUTHORIZED = {"authorization": f"Bearer {ADMIN}"}
