"""Two nodes with mockers, prefill on one and decode on the other, that meet in what `dynkv up infra` runs."""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from debian import program
from nodes import Machine, can_be_had, two_machines

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not can_be_had(), reason="needs root, nsenter and unshare for two network namespaces"),
]
DYNKV = str(Path(sys.executable).with_name("dynkv"))
PREFILL = ["workers.decode.replicas=0"]
DECODE = ["workers.prefill.replicas=0", "frontend.enabled=false"]
QUESTION = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}


@dataclass(frozen=True)
class Nodes:
    first: Machine
    """With etcd, NATS, the frontend and prefill."""
    second: Machine
    """With decode."""

    def up(self, machine: Machine, roles: list[str], *more: str, name: str = "both") -> tuple[int, str]:
        meets = f"cluster.etcd=[http://{self.first.address}:2379]"
        cluster = [meets, f"cluster.advertise={machine.address}", "cluster.namespace=llm"]
        cluster += [f"cluster.nats=nats://{self.first.address}:4222"]
        sets = [word for setting in (*cluster, *roles) for word in ("--set", setting)]
        common = ["--engine", "mocker", "--model", "tiny", "--no-lmcache", "--name", name, "--timeout", "90"]
        done = machine.run(DYNKV, "up", "disagg", *common, *sets, *more)
        return done.returncode, done.stdout + done.stderr

    def status(self, machine: Machine, name: str = "both") -> dict[str, Any]:
        done = machine.run(DYNKV, "status", name, "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def pids(self) -> dict[str, int]:
        units = [unit for machine in (self.first, self.second) for unit in self.status(machine)["units"]]
        return {unit["name"]: unit["pid"] for unit in units}

    def entries(self) -> list[str]:
        """Keys in etcd of this cluster's workers and nodes."""
        body = json.dumps({"key": "AA==", "range_end": "AA==", "keys_only": True})
        url = f"http://{self.first.address}:2379/v3/kv/range"
        done = self.first.run("curl", "-s", "--noproxy", "*", "-d", body, url)

        return [base64.b64decode(it["key"]).decode() for it in json.loads(done.stdout).get("kvs", [])]

    def answers(self) -> bool:
        url = "http://127.0.0.1:8000/v1/chat/completions"
        head = ["-H", "Content-Type: application/json", "-d", json.dumps(QUESTION)]
        done = self.first.run("curl", "-s", "--noproxy", "*", "-m", "10", *head, url)
        try:
            return bool(json.loads(done.stdout)["choices"][0]["message"]["content"])
        except (ValueError, KeyError):
            return False

    def until(self, what: str, holds: Callable[[], bool], within_s: float = 60.0) -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.status(self.first)}\n{self.status(self.second)}"
            time.sleep(0.25)

    def until_whole(self) -> None:
        self.until(
            "both are ready", lambda: [self.status(it)["state"] for it in (self.first, self.second)] == 2 * ["ready"]
        )


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    program("ip", "iproute2")
    program("etcd", "etcd-server")
    program("nats-server", "nats-server")
    with two_machines(tmp_path_factory.mktemp("nodes")) as (first, second):
        found = Nodes(first, second)
        try:
            infra = first.run(DYNKV, "up", "infra", "--set", f"cluster.advertise={first.address}")
            assert infra.returncode == 0, infra.stderr
            begun = found.up(first, PREFILL, "--no-wait")
            assert begun[0] == 0, begun[1]
            found.until("it waits for decode", lambda: "decode" in json.dumps(found.status(first)["units"][0]["probe"]))
            assert found.status(first)["state"] == "starting"
            joined = found.up(second, DECODE)
            assert joined[0] == 0, joined[1]
            found.until_whole()
            yield found
        finally:
            for machine in (second, first):
                machine.run(DYNKV, "down", "both")
            first.run(DYNKV, "down", "infra")


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
    time.sleep(12)  # longer than Dynamo's own leases last
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
