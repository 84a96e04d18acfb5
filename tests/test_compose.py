"""What `compose.yaml` promises, without a container engine: `scripts/check` holds the file to Compose's own schema."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from coordinator.settings import ENVIRONMENT_PREFIX, Settings
from coordinator.store.embedded import OPTIONS

COMPOSE: dict[str, Any] = yaml.safe_load((Path(__file__).parent.parent / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

PINNED = re.compile(r"[a-z]+:\d+(\.\d+)*(-[a-z]+)?")

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))


@each_service
def test_every_image_is_pinned(service: dict[str, Any]) -> None:
    text = service.get("build", {}).get("dockerfile_inline", f"FROM {service.get('image')}")
    images = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert images
    assert all(PINNED.fullmatch(image) for image in images), images


@each_service
def test_every_service_is_watched_and_comes_back(service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert service["restart"] == "unless-stopped"


@each_service
def test_no_service_can_gain_privileges(service: dict[str, Any]) -> None:
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_only_the_proxy_can_be_reached() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "proxy": ["8000:8000"]
    }
    assert set(SERVICES["proxy"]["networks"]) & set(SERVICES["redis"]["networks"]) == set()


def test_redis_runs_with_the_options_of_the_embedded_server() -> None:
    command = SERVICES["redis"]["command"]
    given = dict(zip(command[1::2], command[2::2], strict=True))
    expected = {f"--{name}": value for name, value in OPTIONS.items() if name != "daemonize"}
    assert given == expected | {"--maxmemory": "${REDIS_MAXMEMORY:-1gb}"}
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]


def test_every_variable_is_a_setting() -> None:
    environment = SERVICES["coordinator"]["environment"]
    settings = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.__struct_fields__}
    assert set(environment) <= settings
    assert environment["COORDINATOR_TOKENS"].startswith("${COORDINATOR_TOKENS:?")


def test_three_replicas_start_after_redis_and_may_end_their_calls() -> None:
    replicas = SERVICES["coordinator"]
    assert replicas["deploy"] == {"replicas": 3}
    assert replicas["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert int(replicas["stop_grace_period"].removesuffix("s")) * 1000 > Settings().shutdown_grace_ms


def test_the_replicas_run_without_rights() -> None:
    replicas = SERVICES["coordinator"]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", replicas["build"]["dockerfile_inline"], re.MULTILINE)
    assert (replicas["read_only"], replicas["cap_drop"]) == (True, ["ALL"])


def test_the_proxy_has_a_slot_for_every_replica_and_asks_its_health() -> None:
    config = COMPOSE["configs"]["proxy"]["content"]
    slots = re.search(r"server-template \w+ (\d+) coordinator:8000 check", config)
    assert slots
    assert int(slots[1]) > SERVICES["coordinator"]["deploy"]["replicas"]
    assert "option httpchk GET /health" in config
