"""What departed nodes have left: when it is removed, and which connections are closed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from dynkv.cluster.entry import Entry
from dynkv.cluster.etcd import Etcd
from dynkv.cluster.instances import Instance
from dynkv.reclaim.connections import Closed
from dynkv.supervisor.departed import Departed
from dynkv.supervisor.events import EventLog

pytestmark = pytest.mark.anyio
HOST, OTHER = "127.0.0.1", "127.0.0.2"


class Kept:
    """Stands in for etcd, for the log of events, and for the kernel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.deleted: list[str] = []
        self.messages: list[str] = []
        self.closed: list[tuple[str, list[int], list[int]]] = []
        self.result = Closed(3, 0, "")
        monkeypatch.setattr("dynkv.supervisor.departed.close_connections", self._close)

    async def delete(self, key: str) -> None:
        self.deleted.append(key)

    def record(self, kind: object, message: str, **_: Any) -> None:
        self.messages.append(message)

    def _close(self, host: str, *, to: list[int], at: list[int]) -> Closed:
        self.closed.append((host, [*to], [*at]))
        return self.result

    def departed(self) -> Departed:
        return Departed(cast(Etcd, self), cast(EventLog, self), [21004])


def worker(port: int, lease: int, host: str = HOST) -> Instance:
    return Instance("backend", host, port, lease, lease, (Entry(f"v1/instances/{lease}", b"", lease, lease),))


@pytest.fixture
def nobody() -> int:
    """A port at which nothing listens."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def somebody() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


async def test_one_look_is_not_enough(monkeypatch: pytest.MonkeyPatch, nobody: int) -> None:
    kept = Kept(monkeypatch)
    departed, gone = kept.departed(), worker(nobody, 7)
    await departed.remove([gone], [gone])
    assert (kept.deleted, kept.closed) == ([], [])
    await departed.remove([gone], [gone])
    assert kept.deleted == ["v1/instances/7"]
    assert kept.closed == [(HOST, [nobody], [21004])]
    assert kept.messages[-1] == f"closed 3 connections to {HOST}"


async def test_who_has_been_heard_of_meanwhile_begins_anew(monkeypatch: pytest.MonkeyPatch, nobody: int) -> None:
    kept = Kept(monkeypatch)
    departed, gone = kept.departed(), worker(nobody, 7)
    for orphans in ([gone], [], [gone]):
        await departed.remove(orphans, [gone])
    assert kept.deleted == []


async def test_answers_of_a_neighbour_that_lives_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, nobody: int, somebody: int
) -> None:
    kept = Kept(monkeypatch)
    departed, gone, lives = kept.departed(), worker(nobody, 7), worker(somebody, 8)
    elsewhere = worker(1, 9, OTHER)
    for _ in range(2):
        await departed.remove([gone, lives], [gone, lives, elsewhere])
    assert kept.deleted == ["v1/instances/7"]
    assert kept.closed == [(HOST, [nobody], [])]


async def test_connections_that_cannot_be_closed_are_told(monkeypatch: pytest.MonkeyPatch, nobody: int) -> None:
    kept = Kept(monkeypatch)
    kept.result = Closed(0, 2, "Operation not permitted")
    departed, gone = kept.departed(), worker(nobody, 7)
    for _ in range(2):
        await departed.remove([gone], [gone])
    assert kept.messages[-1] == f"requests that wait for {HOST} are stuck: 2 connections cannot be closed"
