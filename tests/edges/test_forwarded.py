"""Whose word counts for where a request comes from."""

import asyncio

import httpx
import pytest

from tests.edges.conftest import served

LIMIT_S = 10


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        ("", "203.0.113.7", "127.0.0.1"),
        ("10.0.0.0/8", "203.0.113.7", "127.0.0.1"),
        ("127.0.0.0/8,10.0.0.0/8", "198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
    ],
    ids=["nobody's", "another's", "a proxy's"],
)
async def test_an_address_is_believed_of_listed_proxies_only(trusted: str, forwarded: str, address: str):
    """Else whoever shows wrong tokens, or changes something, would be somebody else each time."""
    with served("httptools", trusted_proxies=trusted) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            headers = {"x-forwarded-for": forwarded, "x-forwarded-proto": "https"}
            assert (await client.put("/queue/a", json={"concurrency": 1}, headers=headers)).is_success
            async with asyncio.timeout(LIMIT_S):
                while not (noted := (await client.get("/audit")).json()["items"]):
                    await asyncio.sleep(0.01)

    assert [entry["address"] for entry in noted] == [address]
