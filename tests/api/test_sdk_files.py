"""`/sdk/…`: the files that functions are made with."""

from pathlib import Path

import pytest

from coordinator.sdk.sources import SOURCES
from tests.api.harness import Api, refusal

SDK = Path(__file__).parent.parent.parent / "coordinator" / "sdk"


@pytest.mark.parametrize(
    ("name", "place", "media_type"),
    [
        ("coordinator.mjs", "coordinator.mjs", "text/javascript; charset=utf-8"),
        ("coordinator.d.mts", "coordinator.d.mts", "application/typescript"),
        ("coordinator_functions.py", "functions.py", "text/x-python; charset=utf-8"),
    ],
)
async def test_a_file_is_served_as_it_is(idle: Api, name: str, place: str, media_type: str):
    answer = await idle.client.get(f"/sdk/{name}")

    assert (answer.status_code, answer.content) == (200, (SDK / place).read_bytes())
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "public, max-age=300"
    head = await idle.client.head(f"/sdk/{name}")
    assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])


async def test_what_is_known_is_not_sent_again(idle: Api):
    tags = {(await idle.client.get(f"/sdk/{source.name}")).headers["etag"] for source in SOURCES}
    assert len(tags) == len(SOURCES)
    for source in SOURCES:
        etag = (await idle.client.get(f"/sdk/{source.name}")).headers["etag"]
        again = await idle.client.get(f"/sdk/{source.name}", headers={"if-none-match": f'"other", W/{etag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


async def test_the_module_tells_where_its_types_are(idle: Api):
    answer = await idle.client.get("/sdk/coordinator.mjs")

    assert answer.headers["x-typescript-types"] == "./coordinator.d.mts"


async def test_another_file_is_not_there(idle: Api):
    for name in ("client.py", "package.json", "__init__.py", "..", "%2e%2e%2fcli.py"):
        answer = await idle.client.get(f"/sdk/{name}")
        assert answer.status_code == 404
    refusal(await idle.client.get("/sdk/client.py"), 404, "not_found", says="coordinator_functions.py")


async def test_the_files_are_described_as_text(idle: Api):
    described = (await idle.client.get("/openapi.json")).json()["paths"]["/sdk/{name}"]["get"]

    assert described["parameters"][0]["schema"]["enum"] == [source.name for source in SOURCES]
    assert described["responses"]["200"]["content"].keys() == {source.media_type for source in SOURCES}
