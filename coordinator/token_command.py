"""The command `coordinator token`: makes, lists and revokes API tokens, straight in Redis, also when nobody serves.

Whoever can write there can do everything already; so it is how the first token is made, and the way back in.
"""

import getpass
import json
import os
import sys
import time
from typing import Any

import msgspec

from coordinator.api.reading import decode
from coordinator.api.tokens import TokenBody, token_answer, token_of
from coordinator.engine.tokens import KnownToken, Tokens
from coordinator.settings import Settings
from coordinator.store.audit import AuditEntry
from coordinator.store.open import Store, check_address, first_contact, open_configured

_COLUMNS = ("ID", "NAME", "SCOPES", "QUEUES", "EXPIRES", "LAST USED")


async def administer(url: str, settings: Settings, own: dict[str, Any], *, as_json: bool) -> int:
    """Do it. Returns the exit code. Raises `CoordinatorError`."""
    store = open_configured(url, settings)
    with first_contact():
        await check_address(store)
        is_first = own["act"] == "create" and not await store.tokens.is_door_closed()
    told: list[str] = []
    tokens = Tokens(store.tokens, settings.token_list, tell=told.append)
    token_id = own.get("id")
    try:
        match own["act"]:
            case "create":
                token_id, said = await _create(store, tokens, own, as_json=as_json)
            case "revoke":
                await tokens.revoke(own["id"])
                said = "" if as_json else f"revoked {own['id']}\n"
            case _:
                said = _listed(await tokens.all(), as_json=as_json)
        # First of all: a token is told once, whatever goes wrong with what others are to know of it.
        sys.stdout.write(said)
        sys.stdout.flush()
        if is_first:
            sys.stderr.write("coordinator: from now on nobody comes in without a token, on this machine neither\n")
        for message in told:
            await store.leadership.publish(message)
            await store.audit.add(_deed(own, f"{token_id}"))
    finally:
        await store.close()
    return 0


async def _create(store: Store, tokens: Tokens, own: dict[str, Any], *, as_json: bool) -> tuple[str, str]:
    asked = {"name": own["name"], "scopes": _parts(own["scopes"]), "queues": _parts(own["queues"])}
    if own["expires_in"]:
        asked["expiresIn"] = own["expires_in"]
    token = token_of(decode(msgspec.json.encode(asked), TokenBody), await store.schedules.now())
    token_id, text = await tokens.make(token)
    if as_json:
        return token_id, json.dumps({"token": text} | token_answer(KnownToken(token_id, token, None))) + "\n"
    return token_id, f"{text}\n"


def _listed(known: list[KnownToken], *, as_json: bool) -> str:
    answers = [token_answer(one) for one in known]
    if as_json:
        return json.dumps({"items": answers}) + "\n"
    rows = [_COLUMNS, *(tuple(_row(answer)) for answer in answers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join("  ".join(map(str.ljust, row, widths)).rstrip() + "\n" for row in rows)


def _row(answer: dict[str, Any]) -> list[str]:
    queues = ",".join(answer["queues"]) or "all"
    shown = [answer["id"], answer["name"], ",".join(answer["scopes"]), queues, answer["expiresAt"] or "never"]
    return [*shown, answer["lastUsedAt"] or "-"]


def _deed(own: dict[str, Any], token_id: str) -> AuditEntry:
    action = {"create": "make_token", "revoke": "revoke_token"}[own["act"]]
    path = f"coordinator token {own['act']} {token_id}"
    return AuditEntry(time.time_ns() // 1_000_000, f"cli:{_user()}", action, path, 200, "")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # The number of a container's user mostly has no name.
        return f"uid {os.getuid()}"


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
