"""Settings: one frozen struct, read once at the start and passed down.

Each field can be given as a flag (`--redis-url`) or in the environment (`COORDINATOR_REDIS_URL`); the flag wins. What
is misspelt or out of bounds stops the start with its name, its value and what would be right. The value may stand in a
file instead, which `COORDINATOR_<NAME>_FILE` names: so secrets are mounted.
"""

import difflib
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec

from coordinator.errors import SettingsError

ENVIRONMENT_PREFIX = "COORDINATOR_"

# Kubernetes sets these in every pod when a Service is named `coordinator` or `coordinator-…`; they are not for us.
_KUBERNETES = re.compile(r"COORDINATOR_(\w+_)?(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(TCP|UDP|SCTP)\w*)")
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://")

_OF_CLIENTS = frozenset({"COORDINATOR_URL", "COORDINATOR_TOKEN", "COORDINATOR_PROFILE"})
"""Where a client finds a coordinator, and who it is there."""

_SECRET = frozenset({"redis_password", "redis_sentinel_password", "worker_secret", "tokens", "keys"})
_BETWEEN_TOKENS = re.compile(r"[\s,]+")
_USER_OF_URL = re.compile(r"(://).*@", re.DOTALL)


def _setting(text: str, **bounds: Any) -> msgspec.Meta:  # noqa: ANN401 - handed on to msgspec as they are
    return msgspec.Meta(description=text, **bounds)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default and why it is that."""

    redis_url: Annotated[
        str,
        _setting("URL of the store: redis://, redis+sentinel://, redis+cluster://, the same with rediss, or unix://"),
    ] = ""
    redis_username: Annotated[str, _setting("user of Redis, where the URL names none")] = ""
    redis_password: Annotated[str, _setting("password of Redis, where the URL has none")] = ""
    redis_sentinel_username: Annotated[str, _setting("user of the sentinels")] = ""
    redis_sentinel_password: Annotated[str, _setting("password of the sentinels")] = ""
    redis_ca_file: Annotated[str, _setting("PEM of who signed the certificate of Redis, if not the system's")] = ""
    redis_cert_file: Annotated[str, _setting("PEM of our own certificate, if Redis asks for one")] = ""
    redis_key_file: Annotated[str, _setting("PEM of its key")] = ""
    durability: Annotated[
        str, _setting("when a change counts as made: local, fsync or replicated", pattern="^(local|fsync|replicated)$")
    ] = "local"
    allow_volatile: Annotated[bool, _setting("serve on a Redis without an append-only file, too")] = False
    host: Annotated[str, _setting("address to listen on")] = "127.0.0.1"
    port: Annotated[int, _setting("port to listen on; 0 takes a free one", ge=0, le=65535)] = 8000
    worker_url: Annotated[str, _setting("URL of the function that serves every worker without a URL of its own")] = ""
    worker_secret: Annotated[
        str, _setting("whsec_… that its calls are signed with; a second one, that it replaces, after a comma")
    ] = ""
    egress_allow: Annotated[
        str,
        _setting("where functions may be beside the public internet: networks, hosts, host:port, *.host, by commas"),
    ] = ""
    public_url: Annotated[str, _setting("where functions reach this coordinator to post their receipts")] = ""
    tokens: Annotated[str, _setting("bearer tokens that may use the API, separated by commas or white space")] = ""
    trusted_proxies: Annotated[
        str, _setting("addresses and networks of proxies whose X-Forwarded-For is believed, separated by commas")
    ] = ""
    # Far more than a caller needs that sends what it has in batches, far less than what keeps a replica busy for good.
    api_rate: Annotated[
        int, _setting("requests a second of one token, per replica; 0 is any number", ge=0, le=1_000_000)
    ] = 1000
    keys: Annotated[
        str, _setting("what replicas seal and sign with: id:base64 of 32 random bytes, the newest first, then commas")
    ] = ""
    redact: Annotated[
        str, _setting("fields of args, meta, results and errors whose values lists do not show, separated by commas")
    ] = ""
    prefix: Annotated[str, _setting("first part of every key in Redis", pattern=r"^[A-Za-z0-9_-]{1,32}$")] = "co"
    # Sixteen slices spread over as many leaders or cluster nodes, and cost an idle system sixteen looks a second.
    shards: Annotated[int, _setting("slices of the keyspace; fixed by the first start", ge=1, le=1024)] = 16
    # Ten thousand sockets is what common file limits allow, and a held call costs about 20 KiB.
    max_calls: Annotated[int, _setting("calls in flight at the most, per replica", ge=1, le=10_000)] = 1000
    # A connection costs about 20 KiB, and a file of those that the system allows.
    max_connections: Annotated[
        int, _setting("open connections of clients at the most, per replica; beyond, 503", ge=1, le=100_000)
    ] = 2000
    # Long enough to ride out a failover's pause, short enough that a killed replica costs seconds.
    lease_ms: Annotated[int, _setting("how long a silent replica keeps its calls, ms", ge=1000, le=600_000)] = 10_000
    leader_ttl_ms: Annotated[int, _setting("how long a silent leader keeps a shard, ms", ge=1000, le=600_000)] = 10_000
    poll_interval_ms: Annotated[int, _setting("longest sleep of a leader, ms", ge=10, le=60_000)] = 1000
    shutdown_grace_ms: Annotated[int, _setting("how long a stopping replica waits for its calls, ms", ge=0)] = 30_000
    # The rest is for what was accepted: ten percent of a gigabyte hold the attempt logs of half a million jobs.
    memory_percent: Annotated[int, _setting("of maxmemory; above it no new jobs are accepted", ge=1, le=100)] = 90
    log_level: Annotated[str, _setting("what is logged", pattern="^(debug|info|warning|error)$")] = "info"

    def __repr__(self) -> str:
        """Without what is secret."""
        shown = ", ".join(f"{name}={_shown(name, getattr(self, name))!r}" for name in self.__struct_fields__)
        return f"Settings({shown})"

    @property
    def token_list(self) -> tuple[str, ...]:
        """The bearer tokens; none means that everybody who reaches the port may use the API."""
        return tuple(token for token in _BETWEEN_TOKENS.split(self.tokens) if token)

    @property
    def worker_secrets(self) -> tuple[str, ...]:
        """What calls of the entry point are signed with, the new one first."""
        return tuple(secret.strip() for secret in self.worker_secret.split(",") if secret.strip())

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def own_url(self) -> str:
        """Where functions reach this coordinator."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return self.public_url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def field_types() -> dict[str, type]:
    """The plain type of each setting."""
    return get_type_hints(Settings)


def descriptions() -> dict[str, str]:
    """What each setting is, in words."""
    hints = get_type_hints(Settings, include_extras=True)
    return {
        name: meta.description or ""
        for name, hint in hints.items()
        for meta in getattr(hint, "__metadata__", ())
        if isinstance(meta, msgspec.Meta)
    }


def read_settings(environment: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Settings from the environment, overruled by flags that are not None. Raises `SettingsError`."""
    values: dict[str, object] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or _is_foreign(variable, text):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name in Settings.__struct_fields__:
            # A secret that comes from a file mostly ends with a line feed.
            values[name] = _read(variable, name, text.strip())
        elif (of_file := name.removesuffix("_file")) in Settings.__struct_fields__:
            if variable.removesuffix("_FILE") in environment:
                raise SettingsError(f"{variable} stands beside {variable.removesuffix('_FILE')}; set one of them.")
            values[of_file] = _read(variable, of_file, _content(variable, text))
        else:
            raise SettingsError(f"{variable} is not a setting.{_suggestion(name)}")
    for name, value in flags.items():
        if value is not None:
            values[name] = _read(f"--{name.replace('_', '-')}", name, value)
    return msgspec.convert(values, Settings)


def _content(variable: str, path: str) -> str:
    """Of a file that a secret is mounted as."""
    try:
        content = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}={path} cannot be read: {error}.") from None
    if not content:
        # A secret that was not filled in would mean: no tokens, no keys.
        raise SettingsError(f"{variable}={path} is empty; write the value into it, or leave the setting out.")
    return content


def _is_foreign(variable: str, text: str) -> bool:
    # The secrets of workers, which name them as `env:NAME`: `calling/references.py`.
    if variable.startswith(f"{ENVIRONMENT_PREFIX}SECRET_") or variable in _OF_CLIENTS:
        return True
    return bool(_KUBERNETES.fullmatch(variable) or (variable.endswith("_PORT") and _KUBERNETES_PORT.match(text)))


def _read(given_as: str, name: str, value: object) -> object:
    hint = get_type_hints(Settings, include_extras=True)[name]
    try:
        return msgspec.convert(value, hint, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{given_as}={_shown(name, value)}: {error}; it is {descriptions()[name]}.") from None


def _shown(name: str, value: object) -> object:
    """A value as it may be shown."""
    if name in _SECRET and value:
        return "[hidden]"
    return _USER_OF_URL.sub(r"\1", value) if isinstance(value, str) else value


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.__struct_fields__, 1)
    return f" Did you mean {ENVIRONMENT_PREFIX}{near[0].upper()}?" if near else ""
