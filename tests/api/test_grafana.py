"""What `scripts/grafana.json` and README's alerts ask for is there, in a replica that has run jobs."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from coordinator.domain.queue import Circuit, QueueSettings
from coordinator.store.open import Store
from tests.api.harness import Api, Function, Reply

ROOT = Path(__file__).parent.parent.parent
DASHBOARD = json.loads((ROOT / "scripts" / "grafana.json").read_text())

FUNCTIONS = {
    *("sum", "max", "min", "by", "rate", "increase", "histogram_quantile", "label_values", "vector", "or", "absent"),
}
"""Words of the query language that the queries use."""

_NAME = re.compile(r"(?<![$.\w])[a-z_][a-z0-9_]*")
_LABEL = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


@pytest.fixture
def kind() -> str:
    """A real server: the imitation knows nothing of its memory."""
    return "real"


def queries() -> dict[str, str]:
    """Every query of the dashboard by where it is."""
    panels = {
        f"{panel['title']} {one['refId']}": one["expr"] for panel in DASHBOARD["panels"] for one in panel["targets"]
    }
    variables = {
        f"${one['name']}": one["definition"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"
    }
    return panels | variables


def alerts() -> dict[str, str]:
    """Every alert of README."""
    section = (ROOT / "README.md").read_text().partition("### Metrics\n")[2].partition("\n### ")[0]
    (rules,) = (block for block in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL) if "alert:" in block)
    return {rule["alert"]: rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]}


class Query:
    """The metrics that a query asks for, each with the labels that it names, and the values of those."""

    def __init__(self, text: str) -> None:
        plain = re.sub(r"\[[^\]]*\]", "", text)
        self.metrics: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for found in re.finditer(r"(coordinator_\w+)(?:\{([^}]*)\})?", plain):
            self.metrics[found[1]] += [(label[0], label[2]) for label in _LABEL.findall(found[2] or "")]
        grouped = [name.strip() for by in re.findall(r"by \(([^)]*)\)", plain) for name in by.split(",")]
        asked = re.search(r"label_values\(\w+, (\w+)\)", plain)
        self.labels = {*grouped, *([asked[1]] if asked else ())}
        rest = re.sub(r'coordinator_\w+(\{[^}]*\})?|by \([^)]*\)|, \w+\)$|"[^"]*"', " ", plain)
        self.unknown = set(_NAME.findall(rest)) - FUNCTIONS


@pytest.fixture
async def shown(api: Api, function: Function, live_store: Store) -> dict[str, dict[str, set[str]]]:
    """What a replica shows that has run jobs: by metric the labels, and by those their values."""
    replica = api.app.state["replica"]
    for client in await live_store.connection.servers.primaries():
        await client.config_set("maxmemory", 1 << 30)
    await replica.store.queues.configure("frail", QueueSettings(circuit=Circuit(failures=1, open_ms=60_000)))
    await api.until(await api.enqueue(), "succeeded")
    function.replies(Reply(body=b'{"status":"failure","error":"no"}'))
    await api.until(await api.enqueue(queue="frail", maxAttempts=1), "dead")
    await api.post("/queue/default/pause")
    await api.enqueue()
    text = (await api.client.get("/metrics")).text
    for client in await live_store.connection.servers.primaries():
        await client.config_set("maxmemory", 0)
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] |= {}
            for label, value in sample.labels.items():
                found[sample.name][label].add(value)
    return found


async def test_every_query_asks_for_what_is_there(shown: dict[str, dict[str, set[str]]]):
    asked = {place: Query(text) for place, text in {**queries(), **alerts()}.items()}
    assert len(queries()) >= 20
    assert len(alerts()) == 3
    wrong = []
    for place, query in asked.items():
        wrong += [(place, word) for word in query.unknown]
        wrong += [(place, "no metric")] if not query.metrics else []
        labels = {label for name in query.metrics for label in shown.get(name, {})}
        wrong += [(place, label) for label in query.labels - labels]
        for name, chosen in query.metrics.items():
            wrong += [(place, name)] if name not in shown else []
            wrong += [(place, f"{name}{{{label}}}") for label, _ in chosen if label not in shown.get(name, {})]
            wrong += [
                (place, f"{name}{{{label}={value}}}")
                for label, value in chosen
                if value != "$queue" and not any(re.fullmatch(value, had) for had in shown[name].get(label, ()))
            ]

    assert wrong == []


async def test_the_dashboard_shows_every_metric_but_what_says_who_one_is(shown: dict[str, dict[str, set[str]]]):
    asked = {name for text in queries().values() for name in Query(text).metrics}
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown if name.startswith("coordinator_")}

    unasked = stems - {re.sub(r"_bucket$", "", name) for name in asked}
    assert unasked == {"coordinator_build_info", "coordinator_queues", "coordinator_shards_led"}


def test_the_dashboard_can_be_imported_anywhere():
    panels = DASHBOARD["panels"]
    sources = [place["datasource"]["uid"] for panel in panels for place in (panel, *panel["targets"])]

    assert DASHBOARD["id"] is None
    assert {one["name"] for one in DASHBOARD["templating"]["list"]} == {"datasource", "queue"}
    assert set(sources) == {"${datasource}"}
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_a_query_that_is_wrong_is_found():
    query = Query('sum by (queue) (rat(coordinator_jobs{queue=~"$queue", state="dead"}[5m])) or tata(nothing_such)')

    assert query.unknown == {"rat", "tata", "nothing_such"}
    assert query.metrics == {"coordinator_jobs": [("queue", "$queue"), ("state", "dead")]}
    assert query.labels == {"queue"}
