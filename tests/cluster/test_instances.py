"""Entries that Dynamo writes into etcd, as they were read there (ai-dynamo 1.6.1)."""

from __future__ import annotations

import json

import pytest

from dynkv.cluster.entry import Entry
from dynkv.cluster.instances import instances, prefixes


def entry(key: str, lease: int, created: int = 1, transport: object = None) -> Entry:
    return Entry(key, json.dumps({} if transport is None else {"transport": transport}).encode(), lease, created)


def worker(component: str, lease: int, at: str, created: int = 1) -> list[Entry]:
    name = f"{lease:x}"
    return [
        entry(f"v1/instances/llm/{component}/generate/{name}", lease, created, {"tcp": f"{at}/{name}/llm/generate"}),
        entry(f"v1/instances/llm/{component}/query/{name}", lease, created, {"tcp": f"{at}/{name}/llm/query"}),
        entry(f"v1/mdc/llm/{component}/generate/{name}", lease, created),
        entry(
            f"v1/event_channels/namespace/llm/component/{component}/endpoint/generate/topic/kv/{name}", lease, created
        ),
    ]


def test_a_process_is_one_whatever_it_serves() -> None:
    found = [*worker("prefill", 0x20, "10.0.0.2:21001", created=9), *worker("backend", 0x10, "10.0.0.1:21001")]
    first, second = instances(found, "llm")
    assert (first.component, first.host, first.port, first.lease) == ("backend", "10.0.0.1", 21001, 0x10)
    assert (second.component, second.address, len(second.entries)) == ("prefill", "10.0.0.2:21001", 4)


def test_an_address_of_ipv6() -> None:
    (found,) = instances(worker("backend", 1, "[fd00::1]:21001"), "llm")
    assert (found.host, found.port, found.address) == ("fd00::1", 21001, "[fd00::1]:21001")


@pytest.mark.parametrize(
    "other",
    [
        entry("v1/instances/another/backend/generate/1", 7, 1, {"tcp": "10.0.0.1:1/x"}),
        entry("v1/instances/llm/backend/generate/1", 0, 1, {"tcp": "10.0.0.1:1/x"}),
        entry("v1/instances/llm/backend/generate/1", 7, 1, {"nats": "subject"}),
        entry("v1/instances/llm/backend/generate/1", 7, 1, "10.0.0.1:1"),
        entry("v1/instances/llm/backend/generate/1", 7, 1, {"tcp": "no address"}),
        entry("v1/mdc/llm/backend/generate/1", 7, 1, {"tcp": "10.0.0.1:1/x"}),
        Entry("v1/instances/llm/backend/generate/1", b"\xff[[[[", 7, 1),
        Entry("v1/instances/llm/backend/generate/1", b"[" * 100_000, 7, 1),
    ],
)
def test_what_is_no_instance_of_the_namespace(other: Entry) -> None:
    assert instances([other], "llm") == []


def test_all_that_a_worker_writes_stands_below_the_prefixes() -> None:
    assert all(it.key.startswith(prefixes("llm")) for it in worker("backend", 1, "h:1"))
    assert not any(it.startswith("v1/instances/llm-2/") for it in prefixes("llm"))
