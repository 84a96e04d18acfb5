"""Requests made of the API's own description, most of them nearly right, and one thing in them wrong.

What a new operation or field is called and takes is read off `/openapi.json`, so it is tried as soon as it is there.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
from msgspec import Raw

from tests.fuzz import nasty

METHODS = (b"GET", b"POST", b"PUT", b"PATCH", b"DELETE")
NAMES = (b"w1", b"q1", b"q2", b"every-day", b"send/mail", b"default", b"*", b"k1")
URLS = ("http://127.0.0.1:9/run", "https://127.0.0.1:9/", "http://localhost:9")
"""Nobody answers there, at once."""

TEXTS = {
    "url": URLS,
    "cron": ("0 9 * * *", "*/5 * * * *", "0 0 1 1 *"),
    "timezone": ("UTC", "Europe/Berlin", "America/New_York"),
    "preset": ("shopify", "shopify-plus"),
}

DEEPEST = 6


@dataclass
class Sent:
    """A request as it goes to the server."""

    operation: dict[str, Any]
    method: bytes
    path: bytes
    query: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    is_of_operation: bool = True
    """Whether the path surely leads to the operation, and its method and token are right."""

    def __str__(self) -> str:
        shown = [(name, value[:200]) for name, value in self.headers]
        return f"{self.method!r} {self.path[:300]!r} ? {self.query[:300]!r} {shown} {self.body[:2000]!r}"


class Requests:
    """Makes requests. `ids` are those of jobs, schedules and batches that are known to be there."""

    def __init__(self, document: dict[str, Any], seed: int, token: str) -> None:
        self.operations = [
            (path, method, operation)
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if operation["operationId"] != "watch_events"  # Its answer has no end.
        ]
        self.ids: list[bytes] = []
        self._schemas = document["components"]["schemas"]
        self._random = Random(seed)
        self._token = token.encode()
        self._share = 0.0  # of the fields that a body may leave out

    def make(self) -> Sent:
        """Any request."""
        random = self._random
        path, method, operation = random.choice(self.operations)
        sent = Sent(operation, method.upper().encode(), b"")
        sent.headers = [(b"host", b"localhost"), (b"authorization", b"Bearer " + self._token)]
        self._choose_path(sent, path)
        self._choose_query(sent)
        self._choose_body(sent)
        if random.random() < 0.15:
            name, value = random.choice(nasty.HEADERS)
            sent.headers = [*(header for header in sent.headers if header[0] != name), (name, value)]
            sent.is_of_operation &= name not in {b"authorization", b"host"}
        if random.random() < 0.02:
            sent.method, sent.is_of_operation = random.choice(METHODS), False
        return sent

    def _choose_path(self, sent: Sent, path: str) -> None:
        random, parts = self._random, []
        schemas = {one["name"]: one["schema"] for one in sent.operation["parameters"] if one["in"] == "path"}
        for part in path.encode().split(b"/"):
            chosen = part
            if part.startswith(b"{"):
                words = schemas[part[1:-1].decode()].get("enum")
                if random.random() < 0.15:
                    chosen, sent.is_of_operation = random.choice(nasty.PATH_PARTS), False
                elif words:
                    chosen = random.choice(words).encode()
                elif self.ids and b"id" in part and random.random() < 0.8:
                    chosen = random.choice(self.ids)
                else:
                    chosen = random.choice(NAMES)
                    sent.is_of_operation &= b"/" not in chosen
            parts.append(chosen)
        sent.path = b"/".join(parts)
        if random.random() < 0.01:
            at = random.randrange(len(sent.path) + 1)
            sent.path = sent.path[:at] + random.choice(nasty.PATH_PARTS) + sent.path[at:]
            sent.is_of_operation = False

    def _choose_query(self, sent: Sent) -> None:
        random, pairs = self._random, []
        for one in sent.operation["parameters"]:
            if one["in"] == "query" and random.random() < 0.4:
                wild = random.random() < 0.2
                value = random.choice(nasty.QUERY_PARTS) if wild else self._text(one["name"], one["schema"])
                if one["name"] == "wait":
                    value = random.choice((b"0", b"1ms", b"9999d", b"-1"))
                pairs += [one["name"].encode() + b"=" + value] * random.choice((1, 1, 1, 2))
        if random.random() < 0.05:
            pairs.append(random.choice(nasty.QUERY_PARTS) + b"=" + random.choice(nasty.QUERY_PARTS))
        sent.query = b"&".join(pairs)

    def _text(self, name: str, schema: dict[str, Any]) -> bytes:
        value = msgspec.json.encode(self._value(schema, name, 0)).strip(b'"')
        return value.replace(b" ", b"+").replace(b"\\", b"")

    def _choose_body(self, sent: Sent) -> None:
        random = self._random
        if sent.method in {b"GET", b"DELETE"}:
            return
        sent.headers.append((b"content-type", b"application/json"))
        asked = sent.operation.get("requestBody")
        if asked is None:
            sent.body = random.choice(nasty.BODIES) if random.random() < 0.1 else b""
            return
        if random.random() < 0.08:
            sent.body = random.choice(nasty.BODIES)
            return
        self._share = random.choice((0.0, 0.02, 0.05, 0.15))
        value = self._value(asked["content"]["application/json"]["schema"], "", 0)
        for _ in range(random.choice((0, 0, 1, 1, 1, 2))):
            value = self._spoilt(value)
        sent.body = msgspec.json.encode(value)
        if random.random() < 0.1:
            sent.body = self._mutated(sent.body)

    def _spoilt(self, value: Any) -> Any:
        """The same with something wild at a random place in it."""
        random = self._random
        if isinstance(value, dict) and value and random.random() < 0.85:
            name = random.choice(list(value))
            return value | {name: self._spoilt(value[name])}
        if isinstance(value, dict) and random.random() < 0.5:
            return value | {
                random.choice(("", "unknown", "__proto__", "a" * 300, "\x00")): Raw(random.choice(nasty.VALUES))
            }
        if isinstance(value, list) and value and random.random() < 0.7:
            at = random.randrange(len(value))
            return [*value[:at], self._spoilt(value[at]), *value[at + 1 :]]
        return Raw(random.choice(nasty.VALUES) or b"1")

    def _mutated(self, body: bytes) -> bytes:
        random = self._random
        at = random.randrange(len(body) + 1)
        match random.randrange(5):
            case 0:
                return body[:at]
            case 1:
                return body[:at] + random.randbytes(1) + body[at + 1 :]
            case 2:
                return body[:at] + body[at + random.randrange(1, 9) :]
            case 3:
                return body[:at] + random.choice(nasty.VALUES) + body[at:]
            case _:
                other = random.randrange(len(body) + 1)
                return body[: max(at, other)] + body[min(at, other) :]

    def _value(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        """Something that fits a schema, mostly."""
        random = self._random
        if "$ref" in schema:
            return self._value(self._schemas[schema["$ref"].rpartition("/")[2]], name, depth)
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return self._value(random.choice(choices), name, depth)
        if "const" in schema or "enum" in schema:
            return random.choice(schema.get("enum") or [schema["const"]])
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                most = min(schema.get("maxItems", 3), 3)
                length = random.randint(min(schema.get("minItems", 0), most), most) if depth < DEEPEST else 0
                return [self._value(schema.get("items", {}), name, depth + 1) for _ in range(length)]
            case "string":
                return self._string(schema, name)
            case "integer" | "number" as kind:
                least, most = (
                    schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1),
                    schema.get("maximum", 100_000),
                )
                number = random.randint(int(least), max(int(least), min(int(most), 100_000)))
                return number if kind == "integer" or random.random() < 0.5 else float(number)
            case "boolean":
                return random.random() < 0.5
            case "null":
                return None
        # Anything.
        return random.choice((None, 1, "text", {"a": 1}, [1, 2], {}))

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        random, made = self._random, {}
        needed = schema.get("required", ())
        for name, one in schema.get("properties", {}).items():
            if name in needed or random.random() < (self._share if depth < DEEPEST else 0):
                made[name] = self._value(one, name, depth + 1)
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and depth < DEEPEST:
            for key in random.sample(NAMES, random.randrange(3)):
                made[key.decode()] = self._value(more, "", depth + 1)
        return made

    def _string(self, schema: dict[str, Any], name: str) -> str:
        random = self._random
        if name in TEXTS:
            return random.choice(TEXTS[name])
        if "batch" in name.lower() or (name.endswith("Id") and self.ids):
            return random.choice(self.ids or [b"b"]).decode()
        if "pattern" in schema or random.random() < 0.7:
            return random.choice(NAMES).decode().replace("*", "w1").replace("/", "-")
        return random.choice(("5s", "1h", "2030-01-01T00:00:00Z", "text", "é"))
