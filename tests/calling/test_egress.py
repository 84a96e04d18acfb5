"""Where calls may go: every spelling of a place that is closed, on both transports, with a resolver of its own."""

import asyncio
import json
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from ipaddress import ip_address

import pytest

from coordinator.calling import egress
from coordinator.calling.caller import Caller
from coordinator.calling.egress import EgressGuard, EgressRefused, look_up, open_guard
from coordinator.calling.egress_addresses import Address
from coordinator.calling.egress_allow import DEVELOPMENT, read_allowed
from coordinator.calling.request import Call
from coordinator.calling.worker_url import Target, target_of
from coordinator.domain.outcome import Failure, Success
from coordinator.errors import SettingsError
from tests.calling.conftest import CERTIFICATE, Opener
from tests.calling.raw_server import Peer, answer_all, header, serving

PUBLIC, PUBLIC_6 = "8.8.8.8", "2606:4700::1111"

METADATA = "is the metadata service of a cloud; a worker may not be there."
EMBEDDING = "is an IPv4 address in the form of an IPv6 one; a worker may not be there."
REMEDY = "if it is meant to be, list it in COORDINATOR_EGRESS_ALLOW."
UNUSUAL = "is no address in its usual form"
PLAIN = "is refused: use https, or list the host in COORDINATOR_EGRESS_ALLOW."

LITERALS = {
    "127.0.0.1": "127.0.0.1 is loopback, this machine itself; a worker may not be there: " + REMEDY,
    "127.255.255.254": "is loopback",
    "0.0.0.0": "is unspecified",
    "10.0.0.1": "is private",
    "172.16.0.1": "is private",
    "172.31.255.255": "is private",
    "192.168.1.1": "is private",
    "169.254.1.1": "169.254.1.1 is link-local; a worker may not be there",
    "169.254.169.254": METADATA,
    "169.254.170.2": METADATA,
    "100.100.100.200": METADATA,
    "168.63.129.16": METADATA,
    "192.0.0.192": METADATA,
    "[fd00:ec2::254]": METADATA,
    "169.254.170.23": METADATA,
    "[fd00:ec2::23]": METADATA,
    "[fd20:ce::254]": METADATA,
    "100.64.0.1": "carriers share",
    "100.127.255.255": "carriers share",
    "192.0.0.1": "is reserved",
    "192.0.2.1": "is for documentation",
    "198.51.100.1": "is for documentation",
    "203.0.113.1": "is for documentation",
    "192.88.99.1": "is reserved",
    "198.18.0.1": "is for benchmarks",
    "198.19.255.255": "is for benchmarks",
    "224.0.0.1": "is multicast",
    "239.255.255.255": "is multicast",
    "240.0.0.1": "is reserved",
    "255.255.255.255": "is reserved",
    "127.1": UNUSUAL,
    "2130706433": UNUSUAL,
    "017700000001": UNUSUAL,
    "0": UNUSUAL,
    "127.0.0.1.": UNUSUAL,
    "1.2.3.4.5": UNUSUAL,
    "[::1]": "is loopback",
    "[::]": "is unspecified",
    "[::ffff:127.0.0.1]": EMBEDDING,
    "[::ffff:7f00:1]": EMBEDDING,
    "[::ffff:169.254.169.254]": EMBEDDING,
    "[::ffff:8.8.8.8]": EMBEDDING,
    "[::127.0.0.1]": EMBEDDING,
    "[::ffff:0:127.0.0.1]": EMBEDDING,
    "[2002:7f00:1::]": EMBEDDING,
    "[2002:a9fe:a9fe::]": EMBEDDING,
    "[2001:0:7f00:1::1]": EMBEDDING,
    "[64:ff9b::a9fe:a9fe]": "is an IPv4 address behind NAT64",
    "[64:ff9b::808:808]": "is an IPv4 address behind NAT64",
    "[64:ff9b:1::7f00:1]": "is an IPv4 address behind NAT64",
    "[fc00::1]": "is private",
    "[fd12:3456::1]": "is private",
    "[fe80::1]": "is link-local",
    "[fec0::1]": "is site-local",
    "[ff02::1]": "is multicast",
    "[2001:db8::1]": "is for documentation",
    "[3fff::1]": "is for documentation",
    "[2001:10::1]": "is reserved",
    "[100::1]": "is reserved",
    "[5f00::1]": "is reserved",
    "[4000::1]": "is reserved",
    "[1fff::1]": "is reserved",
}
"""By the host of a URL: what is said of it."""

NAMES: dict[str, tuple[Sequence[str], str]] = {
    "localhost": (["127.0.0.1"], "127.0.0.1, where localhost leads, is loopback"),
    "localhost.": (["::1", "127.0.0.1"], "is loopback"),
    "inside.example": (["10.1.2.3"], "10.1.2.3, where inside.example leads, is private"),
    "metadata.example": (["169.254.169.254"], METADATA),
    "metadata6.example": (["fd00:ec2::254"], METADATA),
    "mixed.example": ([PUBLIC, "10.0.0.1"], "10.0.0.1, where mixed.example leads, is private"),
    "mixed-first.example": (["10.0.0.1", PUBLIC], "is private"),
    "mixed-families.example": ([PUBLIC, "::1"], "is loopback"),
    "mixed-last.example": ([PUBLIC, PUBLIC_6, "1.1.1.1", "169.254.169.254"], METADATA),
    "mapped.example": (["::ffff:10.0.0.1"], EMBEDDING),
    "nat64.example": (["64:ff9b::a00:1"], "behind NAT64"),
    "scope.example": (["fe80::1%eth0"], "which has a scope"),
    "public-scope.example": ([f"{PUBLIC_6}%2"], "which has a scope"),
    "0x7f000001": (["127.0.0.1"], "is loopback"),
    "0x7f.1": (["127.0.0.1"], "is loopback"),
    "a.xn--bcher-kva.example": (["192.168.0.1"], "is private"),
}
"""By name: where it leads, and what is said of it."""

WAYS = {
    f"http://{PUBLIC}/": f"Plain http to {PUBLIC} {PLAIN}",
    f"http://{PUBLIC}:443/": f"Plain http to {PUBLIC} {PLAIN}",
    f"http://[{PUBLIC_6}]/": f"Plain http to [{PUBLIC_6}] {PLAIN}",
    "http://public.example/": f"Plain http to public.example {PLAIN}",
    "http://absent.example/": f"Plain http to absent.example {PLAIN}",
    "https://public.example:22/": "Port 22 of public.example is refused: use one of 80, 443, 8080, 8443, or list "
    "public.example:22 in COORDINATOR_EGRESS_ALLOW.",
    "https://public.example:25/": "Port 25 of",
    "https://public.example:6379/": "Port 6379 of",
    f"https://[{PUBLIC_6}]:6379/": f"Port 6379 of [{PUBLIC_6}] is refused",
    f"https://{PUBLIC}:9000/": "Port 9000 of",
}

TRICKS = [
    "https://0177.0.0.1/",
    "http://user:pw@127.0.0.1/",
    "https://example.com@127.0.0.1/",
    "https://127.0.0.1@public.example/",
    "https://127.0.0.1\\@public.example/",
    "https://public.example\\@127.0.0.1/",
    "https://127.0.0.1 public.example/",
    "https://①②⑦.⓪.⓪.①/",
    "https://[fe80::1%25lo]/",
    "https://[::1%lo]/",
    "https://public.example:0/",
    "https:///x",
    "gopher://127.0.0.1/",
    "file:///etc/passwd",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "//127.0.0.1/",
    "https://public.example/\r\nhost: 127.0.0.1",
]

REFUSED = [
    *((f"https://{host}/run", says) for host, says in LITERALS.items()),
    *((f"https://{name}/run", says) for name, (_, says) in NAMES.items()),
    *WAYS.items(),
    # The host is what stands before the fragment.
    ("https://127.0.0.1#@public.example/", "127.0.0.1 is loopback"),
    ("https://127.0.0.1?@public.example/", "127.0.0.1 is loopback"),
]

PLACES = {name: places for name, (places, _) in NAMES.items()} | {"public.example": [PUBLIC, PUBLIC_6]}


class Names:
    """A resolver that knows some names, and remembers what it was asked. A name's answers are given in turn."""

    def __init__(self, known: Mapping[str, Sequence[str]], then: Mapping[str, Sequence[str]] | None = None) -> None:
        self.asked: list[str] = []
        self._known = known
        self._then = then or {}

    async def __call__(self, host: str, port: int, threads: Executor | None) -> Sequence[str]:
        is_asked_again = host in self.asked
        self.asked.append(host)
        known = self._then if is_asked_again and host in self._then else self._known
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known[host]


_heard: list[tuple[str, object]] = []
_is_listening = threading.Event()


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _is_listening.is_set() and event in {"socket.connect", "socket.getaddrinfo"}:
        _heard.append((event, arguments[1] if event == "socket.connect" else arguments[0]))


sys.addaudithook(_hear)


class Deeds:
    """What the interpreter says that it did, whoever asked for it."""

    @property
    def connected(self) -> list[object]:
        """Every address and port that was connected to."""
        return [what for event, what in _heard if event == "socket.connect"]

    @property
    def looked_up(self) -> list[object]:
        """Every host that the system's resolver was asked for."""
        return [what for event, what in _heard if event == "socket.getaddrinfo"]


@pytest.fixture
def deeds() -> Iterator[Deeds]:
    _heard.clear()
    _is_listening.set()
    yield Deeds()
    _is_listening.clear()


@pytest.fixture
async def caller_of(opener: Opener) -> AsyncIterator[Callable[..., Caller]]:
    callers: list[Caller] = []

    def make(guard: EgressGuard, tls: ssl.SSLContext | None = None) -> Caller:
        callers.append(Caller(opener(guard, tls)))
        return callers[-1]

    yield make
    for caller in callers:
        await caller.close()


def call(url: str) -> Call:
    return Call(url, {}, b"{}", message_id="j:1", idempotency_key="j", timeout_s=5.0, ack="receipt")


async def refusal_of(caller: Caller, url: str) -> str:
    outcome = await caller.call(call(url))
    assert isinstance(outcome, Failure), outcome
    error = json.loads(outcome.error)
    assert (error["type"], outcome.kind) == ("EgressRefused", "failure")
    return str(error["message"])


@pytest.mark.parametrize(("url", "says"), REFUSED)
async def test_a_closed_place_is_refused_with_its_reason(caller_of, deeds: Deeds, url: str, says: str):
    caller = caller_of(EgressGuard(look_up=Names(PLACES)))

    assert says in await refusal_of(caller, url)
    assert says in (await EgressGuard(look_up=Names(PLACES)).problems([url]))[url]
    assert (deeds.connected, deeds.looked_up) == ([], [])


def test_the_table_is_long_enough():
    assert len(REFUSED) >= 60


@pytest.mark.parametrize("url", TRICKS)
async def test_a_url_that_can_be_read_in_two_ways_is_not_called(caller_of, deeds: Deeds, url: str):
    outcome = await caller_of(EgressGuard(look_up=Names(PLACES))).call(call(url))

    assert isinstance(outcome, Failure)
    assert json.loads(outcome.error)["type"] in {"InvalidURL", "EgressRefused"}
    assert await EgressGuard(look_up=Names(PLACES)).problems([url])
    assert (deeds.connected, deeds.looked_up) == ([], [])


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.128.0.1", PUBLIC_6])
@pytest.mark.parametrize("port", [80, 443, 8080, 8443])
async def test_the_public_internet_is_open_by_https(address: str, port: int):
    guard = EgressGuard(look_up=Names({"public.example": [address]}))
    literal = f"[{address}]" if ":" in address else address

    for host in (literal, "public.example"):
        assert list(map(str, await guard.addresses(target_of(f"https://{host}:{port}/")))) == [address]


@pytest.mark.parametrize("name", ["one.test", "two.test", "deep.sub.three.test", "xn--bcher-kva.test"])
async def test_a_name_that_is_listed_is_called_by_http_at_any_port(caller_of, name: str):
    guard = EgressGuard(read_allowed("one.test, TWO.test., *.three.test, bücher.test"), Names({name: ["127.0.0.1"]}))
    async with serving(answer_all) as server:
        outcome = await caller_of(guard).call(call(f"http://{name}:{server.port}/"))

    assert outcome == Success(http_status=200)
    assert header(server.requests[0], "host") == f"{name}:{server.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "0x7f000001"])
async def test_what_leads_to_a_network_that_is_listed_is_called(caller_of, deeds: Deeds, host: str):
    address = host if host.startswith("127") else "127.0.0.1"
    guard = EgressGuard(read_allowed("127.0.0.1/32,127.0.0.2/31"), Names(PLACES))
    async with serving(answer_all, host=address) as server:
        outcome = await caller_of(guard).call(call(f"http://{host}:{server.port}/"))

    assert (outcome, deeds.connected) == (Success(http_status=200), [(address, server.port)])


NEVER = (EMBEDDING, UNUSUAL, "NAT64", "has a scope")
LISTED = {host: [host.strip("[]")] for host in LITERALS} | {name: list(places) for name, (places, _) in NAMES.items()}


@pytest.mark.parametrize(
    "host",
    [host for host in LISTED if not any(why in (LITERALS.get(host) or NAMES[host][1]) for why in NEVER)],
)
async def test_the_same_place_is_open_when_its_addresses_are_listed(host: str):
    guard = EgressGuard(read_allowed(",".join(LISTED[host])), Names(PLACES))

    addresses = await guard.addresses(target_of(f"http://{host}:6379/"))

    assert [str(address) for address in addresses] == LISTED[host]


@pytest.mark.parametrize("host", [host for host in LITERALS if LITERALS[host] in {EMBEDDING, UNUSUAL}])
async def test_a_disguise_is_refused_even_if_what_it_hides_is_listed(host: str):
    guard = EgressGuard(read_allowed(f"{DEVELOPMENT}, 169.254.169.254, ::/16, 2001::/16"), Names({}))

    with pytest.raises(EgressRefused):
        guard.check(target_of(f"https://{host}/"))


@pytest.mark.parametrize("host", [host for host, says in LITERALS.items() if says == METADATA])
async def test_a_metadata_service_is_open_only_if_it_is_listed_itself(host: str):
    address = host.strip("[]")
    wide = "fd00::/16" if ":" in address else f"{address.partition('.')[0]}.0.0.0/8"
    for listed in (wide, f"{address}:8080" if "." in address else f"[{address}]:8080"):
        with pytest.raises(EgressRefused) as refused:
            EgressGuard(read_allowed(listed)).check(target_of(f"http://{host}/"))
        assert METADATA in refused.value.message

    EgressGuard(read_allowed(address)).check(target_of(f"http://{host}/"))


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "169.254.1.1", "fe80::1", "224.0.0.1", "0.0.0.0", "fd00:ec2::254"]
)
async def test_a_name_that_is_listed_may_not_lead_where_no_function_is(address: str):
    guard = EgressGuard(read_allowed("jobs.test"), Names({"jobs.test": ["10.0.0.1", address]}))

    with pytest.raises(EgressRefused):
        await guard.addresses(target_of("http://jobs.test/"))


async def test_an_entry_with_a_port_opens_no_other():
    guard = EgressGuard(
        read_allowed("jobs.test:9000, 10.1.0.0/16:9000, [fd12::1]:9000"), Names({"jobs.test": ["10.9.9.9"]})
    )

    for host in ("jobs.test", "10.1.2.3", "[fd12::1]"):
        await guard.addresses(target_of(f"http://{host}:9000/"))
        with pytest.raises(EgressRefused):
            await guard.addresses(target_of(f"http://{host}:9001/"))


async def test_a_suffix_opens_what_is_below_it_and_nothing_that_ends_alike():
    names = {name: ["10.0.0.1"] for name in ("a.jobs.test", "jobs.test", "evil-jobs.test", "a.jobs.test.example")}
    guard = EgressGuard(read_allowed("*.jobs.test"), Names(names))

    await guard.addresses(target_of("http://a.jobs.test/"))
    for name in list(names)[1:]:
        with pytest.raises(EgressRefused):
            await guard.addresses(target_of(f"http://{name}/"))


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("8.8.8.8", None),
        ("10.0.0.1", "10.0.0.1 is private"),
        ("169.254.169.254", METADATA),
        ("127.0.0.1", "is loopback"),
    ],
)
@pytest.mark.parametrize("prefix", ["64:ff9b::", "64:ff9b:1::"])
async def test_behind_a_nat64_that_is_listed_the_address_inside_counts(prefix: str, inside: str, says: str | None):
    guard = EgressGuard(read_allowed(f"{prefix}/96"))
    target = target_of(f"https://[{prefix}{inside}]/")

    if says is None:
        assert len(await guard.addresses(target)) == 1
        return
    with pytest.raises(EgressRefused) as refused:
        await guard.addresses(target)
    assert says in refused.value.message


async def test_a_name_that_leads_elsewhere_the_second_time_is_connected_to_as_it_was_checked(caller_of, deeds: Deeds):
    """DNS rebinding: whoever looks a name up twice, to check and to connect, is told two things."""
    names = Names({"rebinding.test": ["127.0.0.2"]}, then={"rebinding.test": ["127.0.0.1"]})
    guard = EgressGuard(read_allowed("127.0.0.2"), names)
    async with serving(answer_all, host="127.0.0.2") as server:
        outcome = await caller_of(guard).call(call(f"http://rebinding.test:{server.port}/"))

    assert outcome == Success(http_status=200)
    assert (names.asked, deeds.connected, deeds.looked_up) == (["rebinding.test"], [("127.0.0.2", server.port)], [])


async def test_a_name_that_leads_inside_later_is_refused_then(opener: Opener, deeds: Deeds):
    names = Names({"rebinding.test": ["127.0.0.2"]}, then={"rebinding.test": ["10.0.0.1"]})
    guard = EgressGuard(read_allowed("127.0.0.2"), names)

    async def answer_one(peer: Peer) -> None:
        await peer.request()
        await peer.answer(headers="connection: close\r\n")

    async with serving(answer_one, host="127.0.0.2") as server:
        url = f"http://rebinding.test:{server.port}/"
        first, second = Caller(opener(guard)), Caller(opener(guard))
        assert await first.call(call(url)) == Success(http_status=200)
        assert "10.0.0.1, where rebinding.test leads, is private" in await refusal_of(second, url)
        await first.close()
        await second.close()
    assert deeds.connected == [("127.0.0.2", server.port)]


async def test_only_addresses_that_were_checked_are_tried_one_after_the_other(caller_of, deeds: Deeds):
    guard = EgressGuard(read_allowed("127.0.0.0/8"), Names({"many.test": ["127.0.0.3", "127.0.0.2", "127.0.0.1"]}))
    async with serving(answer_all) as server:
        outcome = await caller_of(guard).call(call(f"http://many.test:{server.port}/"))

    assert outcome == Success(http_status=200)
    assert deeds.connected == [(f"127.0.0.{last}", server.port) for last in (3, 2, 1)]


class HttpsOnly(EgressGuard):
    """As if this machine were public."""

    def check(self, target: Target) -> None:
        """Every host is a name."""

    async def addresses(self, target: Target, threads: Executor | None = None) -> Sequence[Address]:
        if target.scheme != "https":
            raise EgressRefused("Plain http is refused.")
        return [ip_address("127.0.0.1")]


async def test_http_is_refused_where_https_was_called_a_moment_ago(caller_of, server_tls: ssl.SSLContext):
    """What a transport keeps of a name by host and port says nothing of the scheme."""
    caller = caller_of(HttpsOnly(), ssl.create_default_context(cafile=CERTIFICATE))
    async with serving(answer_all, server_tls) as server:
        assert await caller.call(call(f"https://localhost:{server.port}/")) == Success(http_status=200)
        assert await refusal_of(caller, f"http://localhost:{server.port}/") == "Plain http is refused."


async def test_the_certificate_must_have_the_name_and_not_the_address(caller_of, server_tls: ssl.SSLContext):
    names = Names({"localhost": ["127.0.0.1"], "other.test": ["127.0.0.1"]})
    guard = EgressGuard(read_allowed("127.0.0.0/8"), names)
    caller = caller_of(guard, ssl.create_default_context(cafile=CERTIFICATE))
    async with serving(answer_all, server_tls) as server:
        assert await caller.call(call(f"https://localhost:{server.port}/")) == Success(http_status=200)
        outcome = await caller.call(call(f"https://other.test:{server.port}/"))

    assert isinstance(outcome, Failure)
    assert json.loads(outcome.error)["type"] == "TLSError"
    assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:1/", "//[::1]/"])
async def test_a_redirect_to_the_inside_is_not_followed(caller_of, deeds: Deeds, location: str):
    async def redirect(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"", "302 Found", f"location: {location}\r\n")

    async with serving(redirect) as server:
        outcome = await caller_of(EgressGuard(read_allowed("127.0.0.1"))).call(call(server.url))

    assert isinstance(outcome, Failure)
    assert json.loads(outcome.error)["type"] == "Redirect"
    assert deeds.connected == [("127.0.0.1", server.port)]


async def test_each_member_of_a_joint_call_that_is_refused_is_told(caller_of):
    sent: list[int] = []

    outcomes = await caller_of(EgressGuard()).call_for_many(
        call("https://10.0.0.1/"), ["a", "b"], lambda: sent.append(1)
    )

    assert {job: json.loads(outcome.error)["type"] for job, outcome in outcomes.items()} == dict.fromkeys(
        ("a", "b"), "EgressRefused"
    )


@pytest.mark.parametrize("places", [[], None])
async def test_a_name_without_an_address_is_a_failed_look_up(caller_of, places: Sequence[str] | None):
    names = Names({} if places is None else {"absent.example": places})

    outcome = await caller_of(EgressGuard(look_up=names)).call(call("https://absent.example/"))

    assert isinstance(outcome, Failure)
    assert json.loads(outcome.error)["type"] == "DNSError"


async def test_a_look_up_that_hangs_ends_with_the_call(caller_of):
    async def hang(host: str, port: int, threads: Executor | None) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    outcome = await caller_of(EgressGuard(look_up=hang)).call(replace(call("https://slow.example/"), timeout_s=0.1))

    assert isinstance(outcome, Failure)
    assert outcome.kind == "timeout"


async def test_a_registration_does_not_wait_for_a_name_that_hangs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(egress, "REGISTRATION_LIMIT_S", 0.05)
    names = Names(PLACES)

    async def partly(host: str, port: int, threads: Executor | None) -> Sequence[str]:
        if host == "slow.example":
            await asyncio.Event().wait()  # For ever.
        return await names(host, port, threads)

    urls = ["https://slow.example/", "https://absent.example/", "https://public.example/", "https://inside.example/"]

    problems = await EgressGuard(look_up=partly).problems(urls)

    assert list(problems) == ["https://inside.example/"]


async def test_many_urls_of_one_host_are_looked_up_once():
    names = Names(PLACES)

    problems = await EgressGuard(look_up=names).problems(f"https://inside.example/{number}" for number in range(100))

    assert (len(problems), names.asked) == (100, ["inside.example"])


async def test_the_systems_resolver_reads_what_the_guard_takes_for_a_name():
    assert set(await look_up("0x7f000001", 443, None)) == {"127.0.0.1"}
    with pytest.raises(OSError, match="cannot be looked up"):
        await look_up("a" * 64 + ".example", 443, None)


async def test_the_operators_own_url_is_open_at_its_port_only():
    guard = open_guard("", "http://10.1.2.3:9000/jobs")

    guard.check(target_of("http://10.1.2.3:9000/other"))
    for url in ("http://10.1.2.3/", "http://10.1.2.4:9000/"):
        with pytest.raises(EgressRefused):
            guard.check(target_of(url))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("0.0.0.0/0", "opens nearly everything"),
        ("::/0", "opens nearly everything"),
        ("0.0.0.0/1", "wider than /8"),
        ("2000::/3", "wider than /16"),
        ("2a00::/12", "wider than /16"),
        ("10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("10.0.0.0/33", "write 10.1.0.0/16"),
        ("10.0.0", "write 10.1.0.0/16"),
        ("127.1", "write 10.1.0.0/16"),
        ("0x7f000001", "write 10.1.0.0/16"),
        ("fc00::/6", "wider than /16"),
        ("fd12::1:99999999", "write 10.1.0.0/16"),
        ("jobs.test:0", "between 1 and 65535"),
        ("jobs.test:65536", "between 1 and 65535"),
        ("jobs.test:http", "write 10.1.0.0/16"),
        ("https://jobs.test", "write 10.1.0.0/16"),
        ("user@jobs.test", "host:port"),
        ("*", "host:port"),
        ("*.", "host:port"),
        ("a*.jobs.test", "host:port"),
        ("*.*.jobs.test", "host:port"),
        ("jobs test", "host:port"),
        ("*.com", "anybody can register"),
        ("fe80::1%eth0", "scope"),
        ("::ffff:10.0.0.1", "list the IPv4 address"),
        ("2002:a00:1::/48", "list the IPv4 address"),
        ("64:ff9b:1::/48", "give all 96 bits"),
    ],
)
def test_an_entry_that_says_nothing_or_too_much_is_refused(entry: str, says: str):
    with pytest.raises(SettingsError) as refused:
        read_allowed(f"10.0.0.0/8, {entry}")

    assert str(refused.value).startswith(f"COORDINATOR_EGRESS_ALLOW holds {entry!r}: ")
    assert says in str(refused.value)
