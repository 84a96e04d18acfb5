"""`POST /job?dryRun=true` refuses what the real call refuses, and tells how the retries would go."""

import pytest

from tests.api.harness import Api, refusal


async def test_a_dry_run_of_a_job_for_an_unknown_batch_is_refused_as_the_real_one(idle: Api):
    for path in ("/job", "/job?dryRun=true"):
        refusal(await idle.post(path, {"worker": "a", "batchId": "none"}), 404, "batch_not_found")


async def test_a_dry_run_tells_the_batch(idle: Api):
    batch = (await idle.post("/job/batch", {"jobs": [{"worker": "a", "delay": "1h"}]})).json()

    answer = await idle.post("/job?dryRun=true", {"worker": "a", "batchId": batch["id"]})

    assert answer.json()["job"]["batchId"] == batch["id"]
    assert (await idle.client.get(f"/batch/{batch['id']}")).json()["total"] == 1


@pytest.mark.parametrize(("most", "waits"), [("3s", [1000, 2000]), ("2999ms", [1000]), ("2h", [1000, 2000, 60_000])])
async def test_the_retries_stop_where_their_time_is_over(idle: Api, most: str, waits: list[int]):
    body = {"worker": "a", "retry": ["1s", "2s", "1m"], "maxRetryDuration": most}

    assert (await idle.post("/job?dryRun=true", body)).json()["retrySchedule"] == waits
