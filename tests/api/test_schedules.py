"""`/schedule`: declared by name, changed, paused, triggered, previewed and deleted."""

import asyncio
from datetime import datetime, timedelta

import httpx
import pytest

from coordinator.domain.ids import new_id
from coordinator.errors import StoreUnavailable
from coordinator.store.open import Store
from coordinator.store.schedules import Put, StoredSchedule
from tests.api.harness import Api, Function, Json, eventually, refusal

NIGHTLY: Json = {"worker": "report", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "args": {"n": 1}}


async def declare(api: Api, name: str, status: int = 200, **fields: object) -> Json:
    answer = await api.client.put(f"/schedule/{name}", json=fields)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


async def patch(api: Api, name: str, status: int = 200, **fields: object) -> Json:
    answer = await api.client.patch(f"/schedule/{name}", json=fields)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


async def read(api: Api, name: str) -> Json:
    answer = await api.client.get(f"/schedule/{name}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def test_a_name_stands_for_one_schedule_however_often_it_is_declared(idle: Api):
    made = await declare(idle, "nightly", 201, **NIGHTLY)

    again = await declare(idle, "nightly", **NIGHTLY)

    assert again == made == await read(idle, "nightly") == await read(idle, made["id"])
    assert (made["name"], made["state"]) == ("nightly", "active")
    listed = (await idle.client.get("/schedule")).json()
    assert (listed["items"], listed["cursor"]) == ([made], None)


async def test_declarations_that_come_at_once_make_one_schedule(idle: Api):
    made = await asyncio.gather(
        *(idle.client.put("/schedule/nightly", json=NIGHTLY | {"args": {"n": n}}) for n in range(8))
    )

    assert sorted(answer.status_code for answer in made) == [200] * 7 + [201]
    assert len((await idle.client.get("/schedule")).json()["items"]) == 1


async def test_declarations_that_overtake_each_other_leave_one_schedule(
    live_store: Store, api: Api, monkeypatch: pytest.MonkeyPatch
):
    put = live_store.schedules.put

    async def slow(stored: StoredSchedule, idempotency: tuple[str, str] | None = None) -> Put:
        await asyncio.sleep(0.05)
        return await put(stored, idempotency)

    monkeypatch.setattr(live_store.schedules, "put", slow)

    async def declare_after(delay_s: float) -> httpx.Response:
        await asyncio.sleep(delay_s)
        return await api.client.put("/schedule/nightly", json=NIGHTLY)

    made = await asyncio.gather(*(declare_after(delay_s) for delay_s in (0, 0.02, 0.03, 0.06)))

    assert {answer.status_code for answer in made} == {200, 201}
    (left,) = (await api.client.get("/schedule")).json()["items"]
    assert left["state"] == "active"
    await api.client.delete("/schedule/nightly")
    assert (await api.client.get("/schedule")).json()["items"] == []


async def test_a_declaration_that_was_cut_off_is_completed_by_the_next(
    live_store: Store, api: Api, monkeypatch: pytest.MonkeyPatch
):
    put = live_store.schedules.put
    calls = []

    async def fails_the_second_time(stored: StoredSchedule, idempotency: tuple[str, str] | None = None) -> Put:
        calls.append(stored)
        if len(calls) == 2:
            raise StoreUnavailable("redis_unavailable", "away")
        return await put(stored, idempotency)

    monkeypatch.setattr(live_store.schedules, "put", fails_the_second_time)
    assert (await api.client.put("/schedule/nightly", json=NIGHTLY)).status_code == 503
    assert (await read(api, "nightly"))["state"] == "paused"

    assert (await declare(api, "nightly", **NIGHTLY))["state"] == "active"


async def test_what_is_declared_otherwise_is_changed_and_keeps_its_id(idle: Api):
    made = await declare(idle, "nightly", 201, **NIGHTLY)

    changed = await declare(idle, "nightly", **NIGHTLY | {"args": {"n": 2}, "maxAttempts": 3})

    assert changed == made | {"args": {"n": 2}, "maxAttempts": 3}


async def test_a_changed_rule_counts_from_now(idle: Api):
    made = await declare(idle, "often", 201, worker="a", every="2h")

    changed = await declare(idle, "often", worker="a", every="1h")

    first, second = (datetime.fromisoformat(found["nextRunAt"]) for found in (made, changed))
    assert abs(first - second - timedelta(hours=1)) < timedelta(seconds=2)


async def test_an_interval_that_stays_goes_on_in_step(idle: Api):
    made = await declare(idle, "often", 201, worker="a", every="2h")

    changed = await declare(idle, "often", worker="a", every="2h", priority=1)

    assert changed == made | {"priority": 1}


async def test_a_schedule_follows_its_queue_to_another_shard(api: Api):
    made = await declare(api, "nightly", 201, **NIGHTLY | {"queue": "a"})
    await api.post("/schedule/nightly/pause")

    moved = [await declare(api, "nightly", **NIGHTLY | {"queue": queue}) for queue in "bcdefgh"][-1]

    assert (moved["queue"], moved["name"], moved["state"]) == ("h", "nightly", "paused")
    assert (await api.client.get("/schedule")).json()["items"] == [moved]
    if moved["id"] != made["id"]:
        refusal(await api.client.get(f"/schedule/{made['id']}"), 404, "schedule_not_found")


@pytest.mark.parametrize(
    ("name", "body", "code", "path", "hint"),
    [
        ("a b", NIGHTLY, "validation_error", "name", "is not the name of a schedule"),
        ("a", {"worker": "report"}, "validation_error", "cron", "or every"),
        ("a", NIGHTLY | {"every": "1h"}, "validation_error", "every", "cannot stand beside cron"),
        ("a", NIGHTLY | {"delay": "1h"}, "validation_error", "delay", "for single jobs"),
        ("a", NIGHTLY | {"unique": "u"}, "validation_error", "unique", "overlap"),
        ("a", NIGHTLY | {"overlap": "wait"}, "validation_error", "overlap", "wait"),
        ("a", NIGHTLY | {"dst": {"gap": "both"}}, "validation_error", "dst.gap", "both"),
        ("a", {"worker": "w", "every": "1h", "dst": {}}, "validation_error", "dst", "for cron"),
        ("a", NIGHTLY | {"cron": "0 0 31 2 *"}, "invalid_cron", "cron", "never"),
        ("a", NIGHTLY | {"overlapp": "skip"}, "validation_error", "overlapp", "did you mean overlap"),
        (
            "a",
            {"worker": "w", "cron": "30 2 * 3 sun#2", "timezone": "America/New_York", "dst": {"gap": "skip"}},
            "validation_error",
            "dst.gap",
            "skips every time",
        ),
    ],
)
async def test_a_wrong_declaration_is_refused_by_its_field(
    idle: Api, name: str, body: Json, code: str, path: str, hint: str
):
    refusal(await idle.client.put(f"/schedule/{name}", json=body), 422, code, path, hint)
    assert (await idle.client.get("/schedule")).json()["items"] == []


async def test_an_id_that_is_none_is_no_name(idle: Api):
    refusal(await idle.client.put(f"/schedule/{new_id(0, 1, 1)}", json=NIGHTLY), 404, "schedule_not_found")
    refusal(await idle.client.get("/schedule/nightly"), 404, "schedule_not_found")


async def test_a_patch_changes_what_it_names(idle: Api):
    made = await declare(idle, "nightly", 201, **NIGHTLY | {"tags": ["a"], "retry": ["1m", "2m"], "maxRuns": 5})

    changed = await patch(idle, "nightly", args=None, tags=["b"], overlap="cancel", maxRuns=None, meta={"x": 1})

    same_but = {"args": None, "tags": ["b"], "overlap": "cancel", "maxRuns": None, "meta": {"x": 1}}
    assert changed == made | same_but
    assert changed["maxAttempts"] == 3


async def test_a_patch_of_the_rule_replaces_what_cannot_stand_beside_it(idle: Api):
    await declare(idle, "nightly", 201, **NIGHTLY | {"dst": {"fold": "both"}})

    changed = await patch(idle, "nightly", every="1h")
    assert (changed["cron"], changed["everyMs"], changed["timezone"]) == (None, 3_600_000, "Europe/Berlin")

    changed = await patch(idle, "nightly", cron="0 0 9 * * *", seconds=True)
    assert (changed["cron"], changed["everyMs"]) == ("0 0 9 * * *", None)
    assert (await patch(idle, "nightly", priority=1))["cron"] == "0 0 9 * * *"


async def test_a_patch_of_nothing_changes_nothing(idle: Api):
    made = await declare(
        idle, "nightly", 201, **NIGHTLY, retry=["1m"], heartbeatTimeout="1m", expiresIn="1h", onFailure={"worker": "x"}
    )

    assert await patch(idle, "nightly") == made
    assert (await idle.client.patch(f"/job/{made['id']}", json={})).json() == made


@pytest.mark.parametrize(
    ("body", "path", "hint"),
    [
        ({"cron": "0 0 31 2 *"}, "cron", "never"),
        ({"delay": "1h"}, "delay", "for single jobs"),
        ({"colour": 1}, "colour", "is not a field"),
        ({"priority": 11}, "priority", "<= 9"),
        ({"cron": None}, "cron", "is required"),
    ],
)
async def test_a_wrong_patch_is_refused_by_its_field(idle: Api, body: Json, path: str, hint: str):
    made = await declare(idle, "nightly", 201, **NIGHTLY)

    answer = await idle.client.patch("/schedule/nightly", json=body)

    assert answer.status_code == 422
    assert (answer.json()["errors"][0]["path"], hint in answer.text) == (path, True)
    assert await read(idle, "nightly") == made


async def test_a_paused_schedule_fires_no_more_until_it_is_resumed(api: Api, function: Function):
    made = await declare(api, "often", 201, worker="a", every="1s")
    paused = (await api.post("/schedule/often/pause")).json()
    assert (paused["state"], paused["nextRunAt"]) == ("paused", None)
    assert (await declare(api, "often", worker="a", every="1s"))["state"] == "paused"

    resumed = (await api.post(f"/schedule/{made['id']}/resume")).json()

    assert resumed["state"] == "active"
    assert resumed["nextRunAt"] > made["createdAt"]
    await function.called(1)
    assert (await read(api, "often"))["missed"] == 0


async def test_one_that_has_ended_cannot_be_paused(api: Api):
    await declare(api, "once", 201, worker="a", every="1s", maxRuns=1)

    async def ended() -> Json | None:
        found = await read(api, "once")
        return found if found["state"] == "ended" else None

    assert (await eventually(ended))["nextRunAt"] is None
    refusal(await api.post("/schedule/once/pause"), 409, "invalid_state")
    assert (await declare(api, "once", worker="a", every="1s", maxRuns=1))["state"] == "ended"
    assert (await declare(api, "once", worker="a", every="1s", maxRuns=2))["state"] == "active"


async def test_a_triggered_run_comes_at_once_whatever_the_rule_says(api: Api, function: Function):
    made = await declare(api, "nightly", 201, **NIGHTLY)
    await api.post("/schedule/nightly/pause")

    answer = await api.post("/schedule/nightly/trigger")

    assert answer.status_code == 201
    (call,) = await function.called(1)
    assert (call.body["jobId"], call.body["scheduleId"]) == (answer.json()["id"], made["id"])
    assert call.body["args"] == {"n": 1}
    assert answer.headers["location"] == f"/job/{answer.json()['id']}"
    listed = await api.client.get("/job", params={"scheduleId": "nightly"})
    assert [job["id"] for job in listed.json()["items"]] == [answer.json()["id"]]
    assert (await api.client.get("/job", params={"scheduleId": "unknown"})).json()["items"] == []


async def test_a_deleted_schedule_leaves_its_runs_unless_told_otherwise(idle: Api):
    await idle.client.put("/queue/default", json={"paused": True})
    jobs = {}
    for name in ("keeps", "cancels"):
        await declare(idle, name, 201, **NIGHTLY)
        jobs[name] = (await idle.post(f"/schedule/{name}/trigger")).json()["id"]

    kept = await idle.client.delete("/schedule/keeps")
    cancelled = await idle.client.delete("/schedule/cancels", params={"runs": "cancel"})

    assert (kept.json()["cancelled"], cancelled.json()["cancelled"]) == (0, 1)
    assert (await idle.job(jobs["keeps"]))["state"] == "queued"
    assert (await idle.job(jobs["cancels"]))["state"] == "cancelled"
    refusal(await idle.client.get("/schedule/keeps"), 404, "schedule_not_found")
    refusal(await idle.client.delete("/schedule/keeps"), 404, "schedule_not_found")
    answer = await idle.client.delete("/schedule/x", params={"runs": "maybe"})
    assert answer.status_code == 422


async def test_a_page_of_schedules_leads_to_the_next(idle: Api):
    made = [(await declare(idle, f"s{n}", 201, **NIGHTLY | {"queue": f"q{n}"}))["id"] for n in range(5)]

    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await idle.client.get("/schedule", params=query)).json()
        seen += [found["id"] for found in page["items"]]
        cursor = page["cursor"]
        if cursor is None:
            break

    assert seen == sorted(made)


async def test_a_preview_tells_the_next_ticks_and_stores_nothing(idle: Api):
    asked = {"cron": "30 2 * * *", "timezone": "America/New_York", "after": "2026-03-07", "count": 3}

    answer = await idle.post("/schedule/preview", asked)

    assert answer.json()["nextRuns"] == [
        "2026-03-07T07:30:00.000Z",
        "2026-03-08T07:00:00.000Z",
        "2026-03-09T06:30:00.000Z",
    ]
    skipping = await idle.post("/schedule/preview", asked | {"dst": {"gap": "skip"}, "after": "2026-03-07 12:00"})
    assert skipping.json()["nextRuns"][0] == "2026-03-09T06:30:00.000Z"
    assert (await idle.client.get("/schedule")).json()["items"] == []
    refusal(await idle.post("/schedule/preview", {"timezone": "UTC"}), 422, "validation_error", "cron", "is required")


async def test_the_same_request_makes_one_schedule(idle: Api):
    headers = {"Idempotency-Key": "k"}
    first = await idle.post("/job", content=b'{"worker":"a","every":"1h"}', headers=headers)
    again = await idle.post("/job", content=b'{"every":"1h","worker":"a"}', headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    other = await idle.post("/job", content=b'{"worker":"a","every":"2h"}', headers=headers)
    refusal(other, 422, "idempotency_mismatch", "Idempotency-Key")
    assert len((await idle.client.get("/schedule")).json()["items"]) == 1


async def test_a_dry_run_tells_what_would_be_made(idle: Api):
    job = (await idle.post("/job?dryRun=true", {"worker": "a", "runAt": "2120-01-01", "retry": ["1s", "5m"]})).json()
    assert (job["job"]["state"], job["nextRuns"]) == ("scheduled", ["2120-01-01T00:00:00.000Z"])
    assert job["retrySchedule"] == [1000, 300_000]

    tick = {"worker": "a", "cron": "@yearly", "startAt": "2120-02-01", "maxRuns": 2, "maxAttempts": 3}
    schedule = (await idle.post("/job?dryRun=true", tick)).json()
    assert schedule["nextRuns"] == ["2121-01-01T00:00:00.000Z", "2122-01-01T00:00:00.000Z"]
    assert (schedule["job"]["kind"], schedule["retrySchedule"]) == ("schedule", [15_000, 30_000])

    assert (await idle.client.get("/schedule")).json()["items"] == []
    assert (await idle.client.get("/job")).json()["items"] == []
    refusal(await idle.post("/job?dryRun=true", {"worker": "a", "delay": -1}), 422, "validation_error", "delay")
    refusal(await idle.post("/job?dryRun=maybe", {"worker": "a"}), 422, "validation_error", "dryRun")


async def test_a_run_that_lives_makes_the_next_tick_wait_its_turn(api: Api, function: Function):
    function.hold()
    await declare(api, "often", 201, worker="a", every="1s", overlap="queue", maxRuns=2)
    await function.called(1)

    async def held() -> Json | None:
        found = await read(api, "often")
        return found if found["heldRun"] else None

    waiting = await eventually(held)
    assert (len(function.calls), waiting["state"]) == (1, "ended")
    function.release()
    second = (await function.called(2))[1]
    assert second.body["jobId"] == waiting["heldRun"]
