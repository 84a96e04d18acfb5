"""Which fields of a worker, a queue or a schedule a declaration changes, also those that go back to their defaults."""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from coordinator.api.reading import camel
from coordinator.calling.references import is_reference
from coordinator.domain.instants import format_instant
from coordinator.domain.queue import RETENTION_DEFAULTS, QueueSettings
from coordinator.domain.worker import Worker

_SECRETS = frozenset(
    {"secret", "previousSecret", "auth.token", "auth.accessKeyId", "auth.secretAccessKey", "auth.sessionToken"}
)
_INSTANTS = frozenset({"startAt", "endAt"})
_INTERNAL = frozenset({"anchorAt", "scheduleId", "scheduledFor", "sealed", "trace", "unreadable", "lostKey"})
_PARTS = frozenset({"rule", "spec"})
"""Of a schedule; their fields are its own for whoever asks."""

_NAMES = {
    "dstGap": "dst.gap",
    "dstFold": "dst.fold",
    "maxRetryMs": "maxRetryDurationMs",
    "heartbeatMs": "heartbeatTimeoutMs",
    "expiresMs": "expiresInMs",
}


def changed_fields(before: Struct, wanted: Struct) -> list[tuple[str, object, object]]:
    """The fields that differ: their names, what is there, and what will be. Of a secret it is only told that it is."""
    old, new = _fields(before), _fields(wanted)
    is_worker = isinstance(wanted, Worker)
    changed: list[tuple[str, object, object]] = []
    for name in [*old, *(name for name in new if name not in old)]:
        was, will = old.get(name), new.get(name)
        if was != will:
            hides = is_worker and (name in _SECRETS or name.startswith("headers."))
            changed.append((name, *(_hidden(was, will) if hides else (was, will))))
    return changed


def _hidden(was: object, will: object) -> tuple[object, object]:
    shown_was, shown_will = (
        value if value is None or (isinstance(value, str) and is_reference(value)) else "set" for value in (was, will)
    )
    return shown_was, "changed" if shown_was == shown_will == "set" else shown_will


def _fields(thing: Struct) -> dict[str, object]:
    if isinstance(thing, QueueSettings):
        thing = replace(thing, retention=RETENTION_DEFAULTS | thing.retention)
    return dict(_flat(thing, ""))


def _flat(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Struct):
        if value.__struct_config__.tag is not None:
            yield f"{path}.type", value.__struct_config__.tag
        for field in value.__struct_fields__:
            name = camel(field)
            if name not in _INTERNAL:
                name = _NAMES.get(name, name)
                yield from _flat(getattr(value, field), "" if name in _PARTS else f"{path}.{name}".lstrip("."))
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _flat(one, f"{path}.{name}")
    elif isinstance(value, Raw):
        yield path, msgspec.json.decode(value)
    else:
        yield path, format_instant(value) if path in _INSTANTS and isinstance(value, int) else value
