"""Sets of real servers on loopback: a Redis Cluster, and a primary that Sentinel watches, of one server program.

Each node is a child process that can be killed, stopped and started again; it ends with the thread that started it, so
start it from one that stays. A command is sent to a node with
`set.ask(node, …)`, by a client that knows nothing of the others.
"""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError
from redis.retry import Retry

from coordinator.store.embedded import EmbeddedServer, Program, die_with_parent
from tests.ports import free_ports

SLOTS = 16384
AGREE_LIMIT_S = 30
"""For nodes to agree on something; they gossip ten times a second."""

NODE_TIMEOUT_MS = 1000
"""After which silence a node is taken to be down. A promotion follows within about as long again."""

FAST: dict[str, str | int] = {"appendfsync": "everysec", "repl-diskless-sync-delay": 0, "repl-ping-replica-period": 1}


def wait_until(holds: Callable[[], object], what: str, limit_s: float = AGREE_LIMIT_S) -> None:
    """Look again and again: there is nothing in these servers that would call us."""
    until = time.monotonic() + limit_s
    while True:
        with contextlib.suppress(RedisError, OSError):
            if holds():
                return
        if time.monotonic() > until:
            raise TimeoutError(f"not within {limit_s} s: {what}")
        time.sleep(0.02)


class ServerSet:
    """Nodes by their number. `url` is how a store reaches them."""

    url: str

    def __init__(self, program: Program, directory: Path, count: int, **options: str | int) -> None:
        """Nothing runs before `start`."""
        self.program = program
        self.directory = directory
        ports = free_ports(2 * count)
        self.nodes = [
            EmbeddedServer(program, directory / str(number), port=port, options={**FAST, **options, **self.own(bus)})
            for number, (port, bus) in enumerate(zip(ports[:count], ports[count:], strict=True))
        ]

    def own(self, bus: int) -> dict[str, str | int]:
        """What only this node is told; `bus` is a second free port."""
        del bus
        return {}

    def ask(self, node: int, *command: str | int) -> Any:
        """What a node answers. Raises `RedisError`, `OSError`."""
        client = Redis(port=self.nodes[node].port, socket_timeout=5, retry=Retry(NoBackoff(), 0), protocol=2)
        with contextlib.closing(client):
            return client.execute_command(*command)

    def info(self, node: int, section: str) -> dict[str, Any]:
        """A section of what a node says of itself."""
        found = self.ask(node, "INFO", section)
        assert isinstance(found, dict)
        return found

    def start(self) -> None:
        """Start all that belongs to it."""
        for node in self.nodes:
            node.start()

    def stop(self) -> None:
        """End all that runs."""
        for node in self.nodes:
            node.stop()


class ClusterSet(ServerSet):
    """A Redis Cluster: primaries 0, 1, 2 at first, and after them a replica of each."""

    def __init__(self, program: Program, directory: Path, primaries: int = 3, **options: str | int) -> None:
        """Starts with as many replicas as primaries."""
        self.primary_count = primaries
        super().__init__(program, directory, 2 * primaries, **options)
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def own(self, bus: int) -> dict[str, str | int]:
        """The bus has a port of its own: the usual one, 10 000 above, may be taken or beyond all ports."""
        return {
            "cluster-enabled": "yes",
            "cluster-port": bus,
            "cluster-node-timeout": NODE_TIMEOUT_MS,
            "cluster-config-file": "nodes.conf",
            # The other slots go on while one primary is replaced, as in production they should.
            "cluster-require-full-coverage": "no",
            "cluster-replica-validity-factor": 0,
        }

    def start(self) -> None:
        """Start the nodes and make them one cluster."""
        super().start()
        count = self.primary_count
        for number in range(count):
            first, last = SLOTS * number // count, SLOTS * (number + 1) // count - 1
            self.ask(number, "CLUSTER ADDSLOTSRANGE", first, last)
        for number, node in enumerate(self.nodes):
            self.ask(number, "CLUSTER SET-CONFIG-EPOCH", number + 1)
            bus = int(self.ask(number, "CONFIG GET", "cluster-port")["cluster-port"])
            self.ask(0, "CLUSTER MEET", "127.0.0.1", node.port, bus)
        wait_until(lambda: all(self._knows_all(number) for number in range(2 * count)), "all nodes have met")
        for number in range(count):
            self.ask(count + number, "CLUSTER REPLICATE", self.id_of(number))
        wait_until(lambda: all(self._is_whole(number) for number in range(2 * count)), "the cluster is whole")

    def id_of(self, node: int) -> str:
        """The name by which the nodes know it."""
        found = self.ask(node, "CLUSTER MYID")
        return found.decode() if isinstance(found, bytes) else str(found)

    def primaries(self) -> list[int]:
        """The nodes that are primaries now, as they see it themselves."""
        return [number for number in self.alive() if self.info(number, "replication")["role"] == "master"]

    def slot_of(self, key: str) -> int:
        """The slot of a key."""
        return int(key_slot(key.encode()))

    def owner_of(self, key: str) -> int:
        """The primary that serves a key."""
        slot = self.slot_of(key)
        rows = self.ask(next(self.alive()), "CLUSTER SLOTS")
        port = next(int(primary[1]) for (first, last), (primary, *_) in _ranges(rows) if first <= slot <= last)
        return next(number for number, node in enumerate(self.nodes) if node.port == port)

    def replica_of(self, primary: int) -> int:
        """The replica that follows a primary."""
        port = str(self.nodes[primary].port)
        followed = {number: self.info(number, "replication").get("master_port") for number in self.alive()}
        return next(number for number, at in followed.items() if str(at) == port)

    def begin_move(self, key: str, target: int) -> Callable[[], bool]:
        """Begin to move the slot of a key, key by key. Returns what moves a few of its keys, and in the end the slot.

        Call it until it returns False.
        """
        slot, source = self.slot_of(key), self.owner_of(key)
        self.ask(target, "CLUSTER SETSLOT", slot, "IMPORTING", self.id_of(source))
        self.ask(source, "CLUSTER SETSLOT", slot, "MIGRATING", self.id_of(target))

        def go_on() -> bool:
            keys = self.ask(source, "CLUSTER GETKEYSINSLOT", slot, 3)
            if keys:
                self.ask(source, "MIGRATE", "127.0.0.1", self.nodes[target].port, "", 0, 5000, "KEYS", *keys)
                return True
            for node in (target, source):
                self.ask(node, "CLUSTER SETSLOT", slot, "NODE", self.id_of(target))
            return False

        return go_on

    def alive(self) -> Iterator[int]:
        """The nodes that answer."""
        for number in range(len(self.nodes)):
            with contextlib.suppress(RedisError, OSError):
                self.ask(number, "PING")
                yield number

    def await_whole(self) -> None:
        """Wait until every node that runs sees all slots served, and each primary has a replica that is up to date."""
        wait_until(lambda: all(self._is_whole(number) for number in range(len(self.nodes))), "the cluster is whole")

    def _knows_all(self, node: int) -> bool:
        known = self.ask(node, "CLUSTER INFO")
        return bool(known["cluster_known_nodes"] == str(len(self.nodes)))

    def _is_whole(self, node: int) -> bool:
        known = self.ask(node, "CLUSTER INFO")
        role = self.info(node, "replication")
        has_partner = role["master_link_status"] == "up" if role["role"] == "slave" else role["connected_slaves"] > 0
        return bool(known["cluster_state"] == "ok" and known["cluster_slots_ok"] == str(SLOTS) and has_partner)


class SentinelSet(ServerSet):
    """A primary and a replica, and three sentinels that promote the one when the other is silent."""

    name = "main"

    def __init__(self, program: Program, directory: Path, sentinels: int = 3, **options: str | int) -> None:
        """Node 0 is the primary at first, node 1 its replica."""
        super().__init__(program, directory, 2, **options)
        self.ports = free_ports(sentinels)
        self.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in self.ports) + f"/{self.name}"
        self._sentinels: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all, and wait until the sentinels know one another and the replica."""
        super().start()
        self.ask(1, "REPLICAOF", "127.0.0.1", self.nodes[0].port)
        wait_until(lambda: self.info(1, "replication")["master_link_status"] == "up", "the replica follows")
        for port in self.ports:
            self._start_sentinel(port)
        wait_until(lambda: all(self._sees_all(port) for port in self.ports), "the sentinels see one another")

    def primary(self, sentinel: int = 0) -> int:
        """The node that a sentinel calls the primary."""
        port = int(self.ask_sentinel(self.ports[sentinel], "SENTINEL GET-MASTER-ADDR-BY-NAME", self.name)[1])
        return next(number for number, node in enumerate(self.nodes) if node.port == port)

    def await_primary(self, node: int) -> None:
        """Wait until a node was promoted, and it and every sentinel know: one that hears of it late may undo it."""
        wait_until(
            lambda: (
                all(self.primary(sentinel) == node for sentinel in range(len(self.ports)))
                and self.info(node, "replication")["role"] == "master"
            ),
            f"node {node} is the primary",
        )

    def await_replica(self, node: int) -> None:
        """Wait until a node follows the primary, and the sentinels see it again."""
        wait_until(lambda: self.info(node, "replication").get("master_link_status") == "up", f"node {node} follows")
        wait_until(lambda: all(self._sees_all(port) for port in self.ports), "the sentinels see it")

    def stop(self) -> None:
        """End all that runs."""
        for sentinel in self._sentinels:
            sentinel.kill()
            sentinel.wait()
        self._sentinels.clear()
        super().stop()

    def _start_sentinel(self, port: int) -> None:
        directory = self.directory / f"sentinel-{port}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {directory}",
            f"sentinel monitor {self.name} 127.0.0.1 {self.nodes[0].port} 2",
            f"sentinel down-after-milliseconds {self.name} {NODE_TIMEOUT_MS}",
            f"sentinel failover-timeout {self.name} 3000",
        ]
        config = directory / "sentinel.conf"
        config.write_text("\n".join(lines) + "\n")
        with (directory / "log").open("ab") as log:
            self._sentinels.append(
                subprocess.Popen(
                    [self.program.path, str(config), "--sentinel"],
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    preexec_fn=die_with_parent(),  # noqa: PLW1509
                )
            )

    def _sees_all(self, port: int) -> bool:
        pairs = self.ask_sentinel(port, "SENTINEL MASTER", self.name)
        seen = pairs if isinstance(pairs, dict) else dict(zip(pairs[::2], pairs[1::2], strict=True))
        seen = {_text(name): _text(value) for name, value in seen.items()}
        others, replicas = int(seen["num-other-sentinels"]), int(seen["num-slaves"])
        return (others, replicas) == (len(self.ports) - 1, 1) and "down" not in seen["flags"]

    def ask_sentinel(self, port: int, *command: str) -> Any:
        """What a sentinel answers."""
        client = Redis(port=port, socket_timeout=5, retry=Retry(NoBackoff(), 0), protocol=2)
        with contextlib.closing(client):
            return client.execute_command(*command)


def _ranges(rows: Any) -> Iterator[tuple[tuple[int, int], list[Any]]]:
    """CLUSTER SLOTS as redis-py tells it: {(first, last): {"primary": (host, port), …}}, or as the server does."""
    if isinstance(rows, dict):
        for slots, node in rows.items():
            yield slots, [node["primary"], *node["replicas"]]
    else:
        for first, last, *nodes in rows:
            yield (first, last), nodes


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
