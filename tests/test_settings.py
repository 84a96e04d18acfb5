"""Settings from the environment and from flags, and how a wrong one is told."""

from pathlib import Path

import msgspec
import pytest

from coordinator.errors import SettingsError
from coordinator.settings import Settings, descriptions, field_types, read_settings


def test_without_anything_the_defaults_hold():
    assert read_settings({}, {}) == Settings()


def test_every_setting_has_a_default_that_is_within_its_own_bounds():
    for name in Settings.__struct_fields__:
        value = getattr(Settings(), name)
        assert read_settings({f"COORDINATOR_{name.upper()}": str(value)}, {}) == Settings()
        assert read_settings({}, {name: str(value)}) == Settings()


def test_every_setting_is_told_in_words_and_has_a_plain_type():
    assert set(descriptions()) == set(Settings.__struct_fields__)
    assert all(descriptions().values())
    assert set(field_types().values()) <= {str, int, bool}


def test_settings_do_not_change():
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]


def test_the_environment_is_read():
    environment = {
        "COORDINATOR_REDIS_URL": "redis://db:6379/1",
        "COORDINATOR_PORT": "9000",
        "PATH": "/bin",
        "PORT": "1",
    }

    assert read_settings(environment, {}) == Settings(redis_url="redis://db:6379/1", port=9000)


def test_a_setting_may_stand_in_a_file(tmp_path: Path):
    secret = tmp_path / "tokens"
    secret.write_text("secret\n")

    assert read_settings({"COORDINATOR_TOKENS_FILE": str(secret)}, {}).token_list == ("secret",)


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(SettingsError, match="COORDINATOR_TOKENS_FILE=/nowhere cannot be read"):
        read_settings({"COORDINATOR_TOKENS_FILE": "/nowhere"}, {})


def test_a_setting_and_its_file_contradict_each_other(tmp_path: Path):
    secret = tmp_path / "tokens"
    secret.write_text("secret\n")

    with pytest.raises(SettingsError, match="COORDINATOR_TOKENS_FILE stands beside COORDINATOR_TOKENS"):
        read_settings({"COORDINATOR_TOKENS_FILE": str(secret), "COORDINATOR_TOKENS": "other"}, {})


def test_a_file_of_no_setting_is_refused():
    with pytest.raises(SettingsError, match="COORDINATOR_TOKNS_FILE is not a setting"):
        read_settings({"COORDINATOR_TOKNS_FILE": "/nowhere"}, {})


def test_a_flag_goes_before_the_environment():
    environment = {"COORDINATOR_PORT": "9000", "COORDINATOR_SHARDS": "4"}

    assert read_settings(environment, {"port": "9001", "shards": None}) == Settings(port=9001, shards=4)


def test_a_flag_does_not_mend_a_wrong_variable():
    with pytest.raises(SettingsError, match="COORDINATOR_PORT=many"):
        read_settings({"COORDINATOR_PORT": "many"}, {"port": "9001"})


def test_a_line_feed_at_the_end_of_a_secret_is_no_part_of_it():
    environment = {"COORDINATOR_TOKENS": "secret\n", "COORDINATOR_PREFIX": "co\n", "COORDINATOR_PORT": " 9000 "}

    settings = read_settings(environment, {})

    assert (settings.token_list, settings.prefix, settings.port) == (("secret",), "co", 9000)


def test_what_clients_are_told_is_no_setting():
    environment = dict.fromkeys(("COORDINATOR_URL", "COORDINATOR_TOKEN", "COORDINATOR_PROFILE"), "x")

    assert read_settings(environment, {}) == read_settings({}, {})


@pytest.mark.parametrize(
    ("variable", "suggestion"),
    [
        ("COORDINATOR_REDIS_ULR", "Did you mean COORDINATOR_REDIS_URL?"),
        ("COORDINATOR_TOKNES", "Did you mean COORDINATOR_TOKENS?"),
        ("COORDINATOR_SHUTDOWN_GRACE", "Did you mean COORDINATOR_SHUTDOWN_GRACE_MS?"),
        ("COORDINATOR_REDIS", "Did you mean COORDINATOR_REDIS_URL?"),
    ],
)
def test_a_misspelt_variable_stops_the_start_with_a_suggestion(variable: str, suggestion: str):
    with pytest.raises(SettingsError) as error:
        read_settings({variable: "x"}, {})

    assert str(error.value) == f"{variable} is not a setting. {suggestion}"


def test_a_variable_like_none_of_ours_has_no_suggestion():
    with pytest.raises(SettingsError) as error:
        read_settings({"COORDINATOR_QQQ": "x"}, {})

    assert str(error.value) == "COORDINATOR_QQQ is not a setting."


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("port", "65536", "Expected `int` <= 65535"),
        ("port", "-1", "Expected `int` >= 0"),
        ("port", "http", "Expected `int`, got `str`"),
        ("port", "", "Expected `int`, got `str`"),
        ("shards", "0", "Expected `int` >= 1"),
        ("shards", "1025", "Expected `int` <= 1024"),
        ("max_calls", "10001", "Expected `int` <= 10000"),
        ("lease_ms", "999", "Expected `int` >= 1000"),
        ("poll_interval_ms", "9", "Expected `int` >= 10"),
        ("shutdown_grace_ms", "-1", "Expected `int` >= 0"),
        ("prefix", "a:b", "matching regex"),
        ("prefix", "", "matching regex"),
        ("prefix", "{a}", "matching regex"),
        ("log_level", "loud", "matching regex"),
        ("log_level", "INFO", "matching regex"),
    ],
)
def test_a_value_out_of_bounds_is_told_with_its_name_and_what_it_is(name: str, value: str, why: str):
    for given_as, environment, flags in (
        (f"COORDINATOR_{name.upper()}", {f"COORDINATOR_{name.upper()}": value}, {}),
        (f"--{name.replace('_', '-')}", {}, {name: value}),
    ):
        with pytest.raises(SettingsError) as error:
            read_settings(environment, flags)
        message = str(error.value)
        assert message.startswith(f"{given_as}={value}: ")
        assert why in message
        assert message.endswith(f"; it is {descriptions()[name]}.")


def test_the_variables_of_a_kubernetes_service_are_not_for_us():
    """They stand in every pod beside a Service `coordinator`, or `coordinator-redis`."""
    environment = {
        "COORDINATOR_SERVICE_HOST": "10.0.0.1",
        "COORDINATOR_SERVICE_PORT": "80",
        "COORDINATOR_SERVICE_PORT_HTTP": "80",
        "COORDINATOR_PORT": "tcp://10.0.0.1:80",
        "COORDINATOR_PORT_80_TCP": "tcp://10.0.0.1:80",
        "COORDINATOR_PORT_80_TCP_PROTO": "tcp",
        "COORDINATOR_PORT_80_TCP_PORT": "80",
        "COORDINATOR_PORT_80_TCP_ADDR": "10.0.0.1",
        "COORDINATOR_REDIS_SERVICE_HOST": "10.0.0.2",
        "COORDINATOR_REDIS_SERVICE_PORT": "6379",
        "COORDINATOR_REDIS_PORT": "tcp://10.0.0.2:6379",
        "COORDINATOR_REDIS_PORT_6379_TCP_ADDR": "10.0.0.2",
    }

    assert read_settings(environment, {}) == Settings()


def test_the_secrets_of_workers_are_no_settings():
    assert read_settings({"COORDINATOR_SECRET_MAIL": "whsec_x", "COORDINATOR_SECRET_a1": ""}, {}) == Settings()


def test_a_port_that_is_a_number_is_ours():
    assert read_settings({"COORDINATOR_PORT": "80", "COORDINATOR_SERVICE_PORT": "1"}, {}).port == 80


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_only_loopback_is_this_machine_alone(host: str, *, is_loopback: bool):
    assert Settings(host=host).is_loopback is is_loopback


@pytest.mark.parametrize(
    ("tokens", "listed"),
    [("", ()), (" , ,", ()), ("a", ("a",)), ("a,b", ("a", "b")), (" a , b ,", ("a", "b")), ("a\nb\n", ("a", "b"))],
)
def test_tokens_are_separated_by_commas_or_stand_line_by_line(tokens: str, listed: tuple[str, ...]):
    assert Settings(tokens=tokens).token_list == listed


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"port": 80}, "http://127.0.0.1:80"),
        ({"host": "0.0.0.0"}, "http://127.0.0.1:8000"),
        ({"host": "::"}, "http://127.0.0.1:8000"),
        ({"host": "::1"}, "http://[::1]:8000"),
        ({"host": "jobs"}, "http://jobs:8000"),
        ({"public_url": "https://jobs.example.com/"}, "https://jobs.example.com"),
        ({"public_url": "https://example.com/jobs/", "port": 1}, "https://example.com/jobs"),
    ],
)
def test_functions_report_to_the_public_url_or_to_the_address(settings: dict[str, object], url: str):
    assert msgspec.convert(settings, Settings).own_url == url


@pytest.mark.parametrize("content", ["", "\n", "  \n\n"])
def test_a_file_without_a_value_is_refused(tmp_path: Path, content: str):
    """It would open the door that it was to close."""
    (tmp_path / "tokens").write_text(content)

    with pytest.raises(SettingsError, match=r"COORDINATOR_TOKENS_FILE=.* is empty"):
        read_settings({"COORDINATOR_TOKENS_FILE": str(tmp_path / "tokens")}, {})
