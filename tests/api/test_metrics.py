"""`GET /metrics`, as Prometheus reads it."""

import asyncio

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain
from prometheus_client.samples import Sample

from coordinator.app import build_app
from coordinator.domain.queue import Circuit, QueueSettings, QueueTally
from coordinator.engine.survey import Surveyor
from coordinator.settings import Settings
from coordinator.store.open import IN_PROCESS_URL, open_store
from coordinator.telemetry.labels import OTHER, QUEUES_LIMIT
from coordinator.telemetry.metrics import CONTENT_TYPES, Metrics, Survey, Vitals
from tests.api.harness import Api, Function, Reply, client_of, refusal

Labels = dict[str, str]
NOW = 1_800_000_000_000
VITALS = Vitals("1", 1, lambda: 0, lambda: 0)
FAILURE = Reply(body=b'{"status":"failure","error":"no"}')


async def samples(api: Api) -> list[Sample]:
    """All that is shown now."""
    answer = await api.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return [sample for family in read_plain(answer.text) for sample in family.samples]


def value(found: list[Sample], name: str, **labels: str) -> float | None:
    """One sample's value, None if there is none."""
    values = [one.value for one in found if one.name == f"coordinator_{name}" and one.labels == labels]
    assert len(values) < 2
    return values[0] if values else None


async def test_a_job_is_counted_from_its_acceptance_to_its_end(api: Api):
    job_id = await api.enqueue(queue="mails")
    await api.until(job_id, "succeeded")
    found = await samples(api)

    assert value(found, "jobs_accepted_total", queue="mails") == 1
    assert value(found, "attempts_total", queue="mails", outcome="success") == 1
    assert value(found, "jobs_finished_total", queue="mails", state="succeeded") == 1
    assert value(found, "call_duration_seconds_count", queue="mails") == 1
    assert value(found, "start_delay_seconds_count") == 1
    assert value(found, "jobs", queue="mails", state="succeeded") == 1
    assert value(found, "jobs", queue="mails", state="running") == 0
    assert value(found, "api_requests_total", operation="enqueue_job", status="201") == 1
    assert value(found, "api_requests_total", operation="read_job", status="200") >= 1


async def test_attempts_are_counted_by_what_they_came_to(api: Api, function: Function):
    function.replies(FAILURE, FAILURE)
    job_id = await api.enqueue(backoff={"base": "1ms", "jitter": 0}, maxAttempts=2)
    await api.until(job_id, "dead")
    found = await samples(api)

    assert value(found, "attempts_total", queue="default", outcome="failure") == 2
    assert value(found, "jobs_finished_total", queue="default", state="dead") == 1
    assert value(found, "jobs", queue="default", state="dead") == 1


async def test_a_receipt_that_is_posted_counts_for_the_queue_of_its_job(api: Api, function: Function):
    function.replies(Reply(202, b""))
    job_id = await api.enqueue(queue="slow")
    await function.called(1)
    await api.receipt(job_id, status="success")
    await api.receipt(job_id, status="success")
    found = await samples(api)

    assert value(found, "attempts_total", queue="slow", outcome="success") == 1
    assert value(found, "jobs_finished_total", queue="slow", state="succeeded") == 1


async def test_calls_in_flight_and_the_oldest_due_job_are_shown(api: Api, function: Function):
    function.hold()
    await api.post("/queue/still/pause")
    await api.enqueue(queue="still")
    await api.enqueue()
    await function.called(1)
    found = await samples(api)

    assert value(found, "calls_in_flight") == 1
    assert value(found, "calls_max") == 1000
    assert value(found, "jobs", queue="default", state="running") == 1
    assert value(found, "queue_paused", queue="still") == 1
    assert value(found, "queue_paused", queue="default") == 0
    assert 0 <= value(found, "oldest_due_seconds", queue="still") < 15
    assert value(found, "oldest_due_seconds", queue="default") is None
    assert value(found, "shards_unled") == 0
    assert value(found, "replicas") == 1
    assert value(found, "shards_led") == 2


async def test_an_open_circuit_is_shown(api: Api, function: Function):
    replica = api.app.state["replica"]
    await replica.store.queues.configure("frail", QueueSettings(circuit=Circuit(failures=1, open_ms=60_000)))
    function.replies(FAILURE)
    await api.until(await api.enqueue(queue="frail", worker="mailer", backoff={"base": "1h"}), "retrying")

    assert value(await samples(api), "circuit_open", queue="frail", worker="mailer") == 1


async def test_what_is_said_of_the_store_is_the_same_on_each_replica(start, live_store, function: Function):
    async with start() as one:
        await one.until(await one.enqueue(), "succeeded")
        app = build_app(Settings(worker_url=function.url), live_store)
        async with client_of(app) as client:
            other = Api(app, client)
            names = {f"coordinator_{name}" for name in ("jobs", "queue_paused", "queues", "replicas", "shards_unled")}
            here, there = [[sample for sample in await samples(api) if sample.name in names] for api in (one, other)]

    assert here == there
    assert {sample.name for sample in here} >= {"coordinator_jobs", "coordinator_replicas"}


async def test_openmetrics_is_answered_to_who_asks_for_it(api: Api):
    accept = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain"
    answer = await api.client.get("/metrics", headers={"accept": accept})

    usual = await api.client.get("/metrics")

    assert answer.headers["content-type"] == CONTENT_TYPES[1]
    assert usual.headers["content-type"] == CONTENT_TYPES[0]
    assert usual.headers["vary"] == "Accept"
    assert answer.text.endswith("# EOF\n")
    assert "coordinator_api_requests" in {family.name for family in read_openmetrics(answer.text)}


async def test_a_replica_tells_of_itself_while_the_store_is_away(idle: Api, monkeypatch):
    await idle.client.get("/health")
    await idle.app.state["replica"].store.close()

    async def away(*_):
        raise ConnectionError

    monkeypatch.setattr(idle.app.state["replica"].store.connection.servers, "having", away)
    found = await samples_of_store_away(idle)

    assert value(found, "store_up") == 0
    assert value(found, "jobs_accepted_total", queue="default") is None
    assert value(found, "api_requests_total", operation="health", status="200") == 1
    assert not [sample for sample in found if sample.name == "coordinator_jobs"]


async def samples_of_store_away(api: Api) -> list[Sample]:
    """As they are read past the guard, which asks the store for tokens."""
    replica = api.app.state["replica"]
    text, _ = replica.metrics.render(await replica.surveyor.look(), "")
    return [sample for family in read_plain(text.decode()) for sample in family.samples]


async def test_the_token_of_a_queue_is_not_enough(start):
    async with start(tokens="x" * 40) as api:
        api.client.headers["authorization"] = f"Bearer {'x' * 40}"
        made = await api.post("/token", {"name": "one", "scopes": ["read"], "queues": ["mails"]})
        token = made.json()["token"]

        refusal(await api.client.get("/metrics", headers={"authorization": f"Bearer {token}"}), 403, "forbidden")
        assert (await api.client.get("/metrics")).status_code == 200


async def test_an_unknown_path_is_no_operation_of_its_own(api: Api):
    for path in ("/a", "/b"):
        await api.client.get(path)

    assert value(await samples(api), "api_requests_total", operation=OTHER, status="404") == 2


def test_queues_beyond_the_limit_are_counted_together():
    metrics = Metrics(VITALS)
    for number in range(QUEUES_LIMIT + 5):
        metrics.accepted(f"q{number:04}")
        metrics.ended(f"q{number:04}", "success")
    queues = [
        QueueTally(f"q{number:04}", {"queued": 2}, paused=True, oldest_due_at=NOW - number, open_circuits=("w",))
        for number in reversed(range(QUEUES_LIMIT + 5))
    ]
    text, _ = metrics.render(Survey(NOW, queues, 7, 1, None, 1, 0), "")
    found = [sample for family in read_plain(text.decode()) for sample in family.samples]

    assert value(found, "jobs_accepted_total", queue=OTHER) == 5
    assert value(found, "attempts_total", queue=OTHER, outcome="success") == 5
    assert value(found, "jobs", queue=OTHER, state="queued") == 10
    assert value(found, "jobs", queue="q0000", state="queued") == 2
    assert value(found, "oldest_due_seconds", queue=OTHER) == (QUEUES_LIMIT + 4) / 1000
    assert value(found, "queue_paused", queue=OTHER) == 5
    assert value(found, "circuit_open", queue=OTHER, worker=OTHER) == 5
    assert value(found, "queues") == QUEUES_LIMIT + 5 + 7
    assert len({sample.labels.get("queue") for sample in found} - {None}) == QUEUES_LIMIT + 1


async def test_who_asks_while_a_look_is_under_way_gets_what_that_one_finds(server_url):
    store = open_store(IN_PROCESS_URL, prefix="thousand", shards=16)
    surveyor = Surveyor(store)
    for number in range(1000):
        await store.queues.configure(f"q{number}", QueueSettings(concurrency=1))
    one, other = await asyncio.gather(surveyor.look(), surveyor.look())
    await store.close()

    assert one is other
    assert one is not None
    assert (len(one.queues), one.unlisted) == (1000, 0)
