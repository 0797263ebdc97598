"""What Dynamo writes into etcd for each worker. Pure.

Source: ai-dynamo 1.6.1, read in etcd 3.4: `v1/instances/NAMESPACE/COMPONENT/ENDPOINT/ID`, with its card, event channels
and sources, all under one lease for each process.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from dynkv.cluster.entry import Entry
from dynkv.plan.serving import address

_INSTANCE = re.compile(r"v1/instances/(?P<namespace>[^/]+)/(?P<component>[^/]+)/(?P<endpoint>[^/]+)/[0-9a-f]+")
_ADDRESS = re.compile(r"(?:tcp://)?(?P<host>\[[^\]]+\]|[^:/]+):(?P<port>\d{1,5})(?:/|$)")


class Instance(Struct, frozen=True):
    """One Dynamo process that accepts requests."""

    component: str
    host: str
    port: int
    lease: int
    created: int
    """etcd's revision at its creation; later ones are higher."""
    entries: tuple[Entry, ...]
    """Everything that it has written."""

    @property
    def address(self) -> str:
        return address(self.host, self.port)


def prefixes(namespace: str) -> tuple[str, ...]:
    """The prefixes of everything that workers write."""
    flat, nested = ("instances", "mdc"), ("event_channels", "event_sources")
    return (*(f"v1/{kind}/{namespace}/" for kind in flat), *(f"v1/{kind}/namespace/{namespace}/" for kind in nested))


def instances(found: Iterable[Entry], namespace: str) -> list[Instance]:
    """Instances of a namespace, each once whatever it serves, in order of creation."""
    by_lease: dict[int, list[Entry]] = defaultdict(list)
    for entry in found:
        by_lease[entry.lease].append(entry)
    each = [_instance(entries, namespace) for lease, entries in by_lease.items() if lease]
    return sorted((it for it in each if it is not None), key=lambda it: it.created)


def _instance(entries: list[Entry], namespace: str) -> Instance | None:
    for entry in entries:
        named = _INSTANCE.fullmatch(entry.key)
        at = _ADDRESS.match(_transport(entry.value)) if named and named["namespace"] == namespace else None
        if named and at:
            host, port = at["host"].strip("[]"), int(at["port"])
            return Instance(named["component"], host, port, entry.lease, entry.created, tuple(entries))
    return None


def _transport(value: bytes) -> str:
    try:
        given = json.loads(value)
        return str(given["transport"]["tcp"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
