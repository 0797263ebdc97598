"""Histories of a node's own workers in etcd."""

from __future__ import annotations

from test_instances import worker

from dynkv.cluster.entry import Entry
from dynkv.cluster.instances import Instance, instances
from dynkv.cluster.upkeep import OwnInstances

PORTS = {21001: "decode-0", 21002: "decode-1"}
HERE = "10.0.0.1"


def own() -> OwnInstances:
    return OwnInstances(HERE, PORTS)


def found(*at: tuple[int, int], host: str = HERE) -> tuple[list[Entry], list[Instance]]:
    """Workers by lease and port, in the order in which they appeared."""
    entries = [
        it for created, (lease, port) in enumerate(at, 1) for it in worker("backend", lease, f"{host}:{port}", created)
    ]
    return entries, instances(entries, "llm")


def test_what_a_dead_process_had_goes_as_soon_as_another_one_runs() -> None:
    it = own()
    left, first = found((1, 21001))
    assert it.dead_leases(left, first, {"decode-0": 100}) == []
    assert it.dead_leases(left, first, {"decode-0": 200}) == [1]
    left, both = found((1, 21001), (2, 21001))
    assert it.dead_leases(left, both, {"decode-0": 200}) == [1]
    left, second = found((2, 21001))
    assert it.dead_leases(left, second, {"decode-0": 200}) == []


def test_what_a_dead_process_had_goes_while_none_runs() -> None:
    it = own()
    left, first = found((1, 21001))
    assert it.dead_leases(left, first, {"decode-0": 100}) == []
    assert it.dead_leases(left, first, {"decode-0": None}) == [1]


def test_what_an_earlier_life_of_the_node_has_left_goes() -> None:
    left, both = found((1, 21001), (2, 21001))
    assert own().dead_leases(left, both, {"decode-0": None}) == [1, 2]
    assert own().dead_leases(left, both, {"decode-0": 100}) == [1], "of two at one address the newest lives"


def test_other_nodes_and_other_ports_are_not_its_own() -> None:
    left, elsewhere = found((1, 21001), host="10.0.0.2")
    more, beside = found((1, 29999))
    assert own().dead_leases([*left, *more], [*elsewhere, *beside], {"decode-0": None}) == []


def test_what_others_have_removed_is_known() -> None:
    it = own()
    entries, first = found((1, 21001), (2, 21002))
    pids: dict[str, int | None] = {"decode-0": 100, "decode-1": 101}
    assert it.dead_leases(entries, first, pids) == []
    assert it.missing(entries, pids) == []
    left, second = found((2, 21002))
    assert it.dead_leases(left, second, pids) == []
    missing = it.missing(left, pids)
    assert {entry.lease for entry in missing} == {1}
    assert [entry.key for entry in missing] == [entry.key for entry in entries if entry.lease == 1]
    assert it.missing(left, ["decode-1"]) == [], "of one that is not ready nothing is put back"


def test_nothing_of_a_dead_process_is_put_back() -> None:
    it = own()
    entries, first = found((1, 21001))
    it.dead_leases(entries, first, {"decode-0": 100})
    it.dead_leases([], [], {"decode-0": 200})
    assert it.missing([], ["decode-0"]) == []


def test_what_one_leaves_that_takes_no_more_requests_goes_when_it_ends() -> None:
    it = own()
    entries, first = found((1, 21001))
    it.dead_leases(entries, first, {"decode-0": 100})
    card = [entry for entry in entries if "/mdc/" in entry.key]
    assert it.dead_leases(card, [], {"decode-0": 100}) == []
    assert it.dead_leases(card, [], {"decode-0": None}) == [1]
    assert it.leases == {1}


def test_who_cannot_be_found() -> None:
    _, first = found((1, 21001))
    assert own().unseen(first) == {"decode-1"}
    assert own().unseen([]) == {"decode-0", "decode-1"}
