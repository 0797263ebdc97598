"""Two nodes with mockers, prefill on one and decode on the other."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest
from nodes import can_be_had
from pair import DECODE, DYNKV, PREFILL, Nodes, with_infra

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not can_be_had(), reason="needs root, nsenter and unshare for two network namespaces"),
]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with with_infra(tmp_path_factory.mktemp("nodes")) as found:
        begun = found.up(found.first, PREFILL, "--no-wait")
        assert begun[0] == 0, begun[1]
        found.until(
            "it waits for decode", lambda: "decode" in json.dumps(found.status(found.first)["units"][0]["probe"])
        )
        assert found.status(found.first)["state"] == "starting"
        joined = found.up(found.second, DECODE)
        assert joined[0] == 0, joined[1]
        found.until_whole()
        yield found


def test_they_are_one_deployment(nodes: Nodes) -> None:
    assert nodes.answers()
    cluster = nodes.status(nodes.second)["cluster"]
    (peer,) = cluster["peers"]
    assert (peer["advertise"], peer["units"]) == (nodes.first.address, {"prefill": 1})
    assert peer["instances"] == {"prefill": 1}
    assert cluster["whole"]
    assert [unit["name"] for unit in nodes.status(nodes.second)["units"]] == ["decode-0"]


def test_a_node_that_differs_is_refused_before_anything_starts(nodes: Nodes) -> None:
    before = nodes.entries()
    code, said = nodes.up(nodes.second, DECODE, "--set", "model.max_length=512", name="odd")
    assert code == 4
    assert "model.max_length is 512 here" in said
    assert nodes.entries() == before
    assert not (nodes.second.home / "odd" / "control.sock").exists()


def test_nothing_of_a_dead_worker_stays_in_etcd(nodes: Nodes) -> None:
    before = {key for key in nodes.entries() if "/backend/" in key}
    pid = nodes.pids()["decode-0"]
    os.kill(pid, 9)
    nodes.until("another one runs", lambda: nodes.pids()["decode-0"] not in (None, pid))
    nodes.until("its entries are gone", lambda: not before & {*nodes.entries()}, within_s=20)
    nodes.until("it answers", nodes.answers)


def test_a_node_that_dies_is_forgotten_and_can_come_back(nodes: Nodes) -> None:
    status = nodes.status(nodes.second)
    for pid in (status["supervisor"]["pid"], *(unit["pid"] for unit in status["units"])):
        os.kill(pid, 9)
    nodes.until("its entries are gone", lambda: not any("/backend/" in key for key in nodes.entries()), within_s=40)
    assert {unit["name"]: unit["restarts"] for unit in nodes.status(nodes.first)["units"]}["prefill-0"] == 0
    code, said = nodes.up(nodes.second, DECODE)
    assert code == 0, said
    nodes.until_whole()
    nodes.until("it answers", nodes.answers)


def test_no_worker_is_lost_while_the_link_is_down(nodes: Nodes) -> None:
    nodes.until_whole()
    before = nodes.pids()
    nodes.second.link("down")
    try:
        nodes.until("it is taken for dead", lambda: not any("/backend/" in key for key in nodes.entries()), within_s=60)
        assert nodes.status(nodes.second)["cluster"]["problem"]
    finally:
        nodes.second.link("up")
    nodes.until("what was removed is there again", lambda: any("/backend/" in key for key in nodes.entries()))
    nodes.until_whole()
    nodes.until("it answers", nodes.answers)
    assert nodes.pids() == before


def test_no_worker_is_lost_while_etcd_and_nats_are_away(nodes: Nodes) -> None:
    before = nodes.pids()
    stopped = nodes.first.run(DYNKV, "stop", "etcd", "nats", "--name", "infra")
    assert stopped.returncode == 0, stopped.stderr
    nodes.until("it is told", lambda: bool(nodes.status(nodes.second)["cluster"]["problem"]))
    assert nodes.answers(), "what is known already is enough to go on"
    time.sleep(12)  # longer than Dynamo's default leases last
    started = nodes.first.run(DYNKV, "start", "etcd", "nats", "--name", "infra")
    assert started.returncode == 0, started.stderr
    nodes.until("etcd answers again", lambda: not nodes.status(nodes.second)["cluster"]["problem"])
    nodes.until_whole()
    nodes.until("it answers", nodes.answers)
    assert nodes.pids() == before


def test_down_on_one_leaves_the_other_and_nothing_in_etcd(nodes: Nodes) -> None:
    assert nodes.second.run(DYNKV, "down", "both").returncode == 0
    assert not [key for key in nodes.entries() if "/backend/" in key or nodes.second.address in key]
    states = {unit["name"]: unit["state"] for unit in nodes.status(nodes.first)["units"]}
    assert states["prefill-0"] == "ready"
    assert nodes.first.run(DYNKV, "down", "both").returncode == 0
    assert nodes.entries() == []
