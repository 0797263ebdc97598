"""Cleaning up after nodes that vanished: their workers' entries in etcd, and connections to them.

A Dynamo process exits when its lease in etcd has expired while it lived (ai-dynamo 1.6.1). So entries of another node's
worker are removed one by one while its lease stays: the worker may only be unreachable, and come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import anyio

from dynkv.cluster.etcd import Etcd
from dynkv.cluster.instances import Instance
from dynkv.reclaim.connections import close_connections
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog

_REACHED_WITHIN_S = 1.0
_AT_A_TIME = 64
_REFUSALS = 2
"""Looks in a row in which nothing listens there, before entries are removed."""


class Departed:
    def __init__(self, etcd: Etcd, events: EventLog, answered_at: Sequence[int]) -> None:
        """`answered_at` are this node's ports to which workers on any node send their answers."""
        self._etcd = etcd
        self._events = events
        self._answered_at = answered_at
        self._refused: Counter[int] = Counter()
        """By lease, how many times in a row nothing listened there."""

    async def remove(self, orphans: Collection[Instance], found: Collection[Instance]) -> None:
        """Clean up after the unreachable ones of `orphans`: those `found` instances whose nodes no longer announce
        themselves.

        A node that does is left alone, even if unreachable from here: another node may reach it. Raises EtcdError.
        """
        self._refused = Counter({it.lease: self._refused[it.lease] for it in orphans})
        problems = await _problems_at(orphans)
        gone = []
        for instance in orphans:
            problem = problems[instance.lease]
            self._refused[instance.lease] = self._refused[instance.lease] + 1 if problem else 0
            if self._refused[instance.lease] >= _REFUSALS:
                await self._forget(instance, problem)
                gone.append(instance)
        for host in sorted({it.host for it in gone}):
            has_others = any(it.host == host for it in found if it not in gone)
            self._close(host, [it.port for it in gone if it.host == host], () if has_others else self._answered_at)

    async def _forget(self, instance: Instance, problem: str) -> None:
        for entry in instance.entries:
            await self._etcd.delete(entry.key)
        names = sorted(entry.key for entry in instance.entries)
        message = f"removed {len(names)} entries of a worker at {instance.address}"
        self._events.record(EventKind.DISCOVERY, message, cause=problem, entries=names)

    def _close(self, host: str, to: Sequence[int], at: Sequence[int]) -> None:
        """Let requests that wait for an answer from there continue elsewhere: Dynamo would wait forever (1.6.1)."""
        done = close_connections(host, to=to, at=at)
        if done.closed:
            message = f"closed {done.closed} connections to {host}"
            self._events.record(EventKind.CLUSTER, message, cause="nothing answers there any more")
        if done.left:
            message = f"requests that wait for {host} are stuck: {done.left} connections cannot be closed"
            self._events.record(EventKind.CLUSTER, message, cause=done.problem)


async def _problems_at(orphans: Collection[Instance]) -> dict[int, str]:
    """By lease, why nothing answers there; all are tried side by side."""
    found: dict[int, str] = {}
    limit = anyio.CapacityLimiter(_AT_A_TIME)

    async def look_at(instance: Instance) -> None:
        async with limit:
            found[instance.lease] = await _problem_at(instance)

    async with anyio.create_task_group() as tasks:
        for instance in orphans:
            tasks.start_soon(look_at, instance)
    return found


async def _problem_at(instance: Instance) -> str:
    """Why nothing answers there, in words; empty if something listens."""
    try:
        with anyio.fail_after(_REACHED_WITHIN_S):
            stream = await anyio.connect_tcp(instance.host, instance.port)
        await stream.aclose()
    except (TimeoutError, OSError) as error:
        return f"its node has not been heard of, and nothing answers there: {error or 'no answer in time'}"
    return ""
