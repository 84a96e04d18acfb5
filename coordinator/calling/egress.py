"""The egress guard: where calls may go. Who registers workers says where we connect to, and must not reach our insides.

```
 URL ─▶ a literal? ──▶ judge ─────────────────────────────────────▶ connect to this address
        a name ─▶ look up ─▶ judge every address; one is bad: refuse ─▶ connect to one of these, no other look-up
```

| The host                              | Scheme      | Port                 | Addresses                             |
|---------------------------------------|-------------|----------------------|---------------------------------------|
| any                                   | https       | 80, 443, 8080, 8443  | public                                |
| a name in `COORDINATOR_EGRESS_ALLOW`  | http, https | any, or the entry's  | public, private, shared, loopback     |
| its address is in a network there     | http, https | any, or the entry's  | those of the network                  |

A name is judged whenever a connection is made and never for good: who owns it can have it lead elsewhere at any moment.
Metadata services are closed even inside of a network that is open, unless their very address is listed.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from ipaddress import IPv6Address, ip_address

from coordinator.calling.egress_addresses import Address, Place, behind_nat64, place_of
from coordinator.calling.egress_allow import VARIABLE, Allowed, entry_of, literal_of, read_allowed
from coordinator.calling.unsendable import Unsendable
from coordinator.calling.worker_url import Target, target_of

PORTS = (80, 443, 8080, 8443)

REGISTRATION_LIMIT_S = 3.0
"""So long a registration waits for names; those that are not known by then are judged at each call, as all are."""

LookUp = Callable[[str, int, Executor | None], Awaitable[Sequence[str]]]
"""From host, port and the threads to use to addresses, as the resolver writes them. Raises `OSError`."""

_REGISTRATION_THREADS = ThreadPoolExecutor(8, thread_name_prefix="registration")
"""A look-up cannot be ended. Names that hang at their registration must not take the threads that calls need."""

_REMEDY = f"if it is meant to be, list it in {VARIABLE}"


class EgressRefused(Unsendable):
    """The call would go where no worker may be."""

    def __init__(self, message: str) -> None:
        """The message names the reason, and the remedy where there is one."""
        super().__init__("EgressRefused", message)


async def look_up(host: str, port: int, threads: Executor | None) -> Sequence[str]:
    """The addresses of a name, by the system's resolver."""
    # In a thread of Python's: uvloop's own way has four for all.
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    try:
        found = await asyncio.get_running_loop().run_in_executor(threads, ask)
    except UnicodeError as why:
        raise socket.gaierror(socket.EAI_NONAME, f"{host[:64]!r} cannot be looked up: {why}") from None
    # The resolver writes no scope into the address if the number says it.
    return [f"{at[0]}%{at[3]}" if len(at) == 4 and at[3] and "%" not in str(at[0]) else str(at[0]) for *_, at in found]


class EgressGuard:
    """Judges where calls go. One for the whole replica."""

    def __init__(self, allowed: Allowed | None = None, look_up: LookUp = look_up) -> None:
        """Without `allowed` only the public internet is open. Tests bring a `look_up` of their own."""
        self._allowed = allowed or Allowed()
        self._look_up = look_up

    def check(self, target: Target) -> None:
        """Judge what can be judged without looking the host up: all of a literal. Raises `EgressRefused`."""
        literal = _literal(target)
        if literal is not None:
            self._judge(literal, target)
        elif not self._allowed.has_networks and not self._is_allowed_name(target):
            _judge_way(target)

    async def addresses(self, target: Target, threads: Executor | None = None) -> Sequence[Address]:
        """Where to connect to: the host's addresses, each of them judged. Raises `EgressRefused`, `OSError`."""
        self.check(target)
        literal = _literal(target)
        if literal is not None:
            return (literal,)
        found = await self._look_up(target.host, target.port, threads)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "The name has no address.")
        addresses = [_address(written, target) for written in dict.fromkeys(found)]
        for address in addresses:
            self._judge(address, target)
        return addresses

    async def problems(self, urls: Iterable[str]) -> dict[str, str]:
        """What is wrong with where these URLs lead, by URL. What cannot be looked up now is judged at each call."""
        found: dict[str, str] = {}
        targets: dict[Target, list[str]] = {}
        for url in urls:
            try:
                target = target_of(url)
                self.check(target)
            except Unsendable as why:
                found[url] = why.message
            else:
                targets.setdefault(target, []).append(url)
        asked = {asyncio.create_task(self._problem(target)): target for target in targets if _literal(target) is None}
        if asked:
            done, late = await asyncio.wait(asked, timeout=REGISTRATION_LIMIT_S)
            for task in late:
                task.cancel()
            for task in done:
                if problem := task.result():
                    found |= dict.fromkeys(targets[asked[task]], problem)
        return found

    async def _problem(self, target: Target) -> str | None:
        try:
            await self.addresses(target, _REGISTRATION_THREADS)
        except EgressRefused as why:
            return why.message
        except OSError:
            return None
        return None

    def _judge(self, address: Address, target: Target) -> None:
        place = place_of(address)
        shown = _shown(address, target)
        if place is Place.NAT64 and isinstance(address, IPv6Address):
            if not self._allowed.has_nat64(address, target.port):
                raise EgressRefused(f"{shown} is {place.value}; a worker may not be there: {_REMEDY}.")
            # The operator vouches for the translation, and the translator reaches whatever is inside.
            return self._judge(behind_nat64(address), target)
        if place is Place.EMBEDDING:
            raise EgressRefused(f"{shown} is {place.value}; a worker may not be there.")
        if self._allowed.is_open(address, target.port):
            return None
        if self._is_allowed_name(target) and self._allowed.opens_by_name(place):
            return None
        if place is Place.METADATA:
            raise EgressRefused(f"{shown} is {place.value}; a worker may not be there.")
        if place is not None:
            raise EgressRefused(f"{shown} is {place.value}; a worker may not be there: {_REMEDY}.")
        return _judge_way(target)

    def _is_allowed_name(self, target: Target) -> bool:
        return self._allowed.has_name(target.name, target.port)


def open_guard(egress_allow: str, worker_url: str) -> EgressGuard:
    """The guard of these settings: an operator's own URL is allowed without being listed. Raises `SettingsError`."""
    allowed = read_allowed(egress_allow)
    try:
        own = target_of(worker_url) if worker_url else None
    except Unsendable:
        own = None  # It fails every call by itself.
    return EgressGuard(Allowed((*allowed.entries, entry_of(own.name, own.port))) if own else allowed)


def _judge_way(target: Target) -> None:
    """How a public host may be called that nobody listed."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    if target.scheme != "https":
        raise EgressRefused(f"Plain http to {host} is refused: use https, or list the host in {VARIABLE}.")
    if target.port not in PORTS:
        ports = ", ".join(map(str, PORTS))
        raise EgressRefused(
            f"Port {target.port} of {host} is refused: use one of {ports}, or list {host}:{target.port} in {VARIABLE}."
        )


def _literal(target: Target) -> Address | None:
    try:
        return literal_of(target.host)
    except ValueError:
        raise EgressRefused(
            f"{target.host} is no address in its usual form, such as 192.0.2.1 or [2001:db8::1] without a scope."
        ) from None


def _address(written: str, target: Target) -> Address:
    if "%" in written:
        raise EgressRefused(f"{target.host} leads to {written}, which has a scope; a worker may not be there.")
    return ip_address(written)


def _shown(address: Address, target: Target) -> str:
    return str(address) if _literal(target) is not None else f"{address}, where {target.host} leads,"
