"""Both roles on both nodes, and one node fails under load: no request is lost, and all are answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nodes import can_be_had
from pair import DYNKV, Nodes, with_infra

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not can_be_had(), reason="needs root, nsenter and unshare for two network namespaces"),
]
LOAD = Path(__file__).with_name("load.py")
CLIENTS = 8
NO_FRONTEND = ["frontend.enabled=false"]


class Load:
    """Requests made while it ran."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, float, str | None]] = []

    @property
    def problems(self) -> list[str]:
        return [problem for _, _, problem in self.requests if problem is not None]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with with_infra(tmp_path_factory.mktemp("nodes")) as found:
        for machine, settings in ((found.first, []), (found.second, NO_FRONTEND)):
            code, said = found.up(machine, settings)
            assert code == 0, said
        found.until_whole()
        yield found


@contextmanager
def asking(nodes: Nodes) -> Iterator[Load]:
    """Eight clients with a stream each, which have started when the block begins."""
    load = Load()
    words = nodes.first.command(sys.executable, str(LOAD), "8000", str(CLIENTS))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            time.sleep(2)
            yield load
        finally:
            said, _ = process.communicate("", timeout=90)
    load.requests = [(began, ended, problem) for began, ended, problem in json.loads(said)]
    assert len(load.requests) > CLIENTS


def test_both_nodes_answer(nodes: Nodes) -> None:
    """Otherwise the other tests would involve only one node."""
    assert nodes.answered_by(20) == {"decode": 2, "prefill": 2}


def test_a_node_is_killed(nodes: Nodes) -> None:
    status = nodes.status(nodes.second)
    with asking(nodes) as load:
        for pid in (status["supervisor"]["pid"], *(unit["pid"] for unit in status["units"])):
            os.kill(pid, 9)
        time.sleep(5)
    assert load.problems == []
    code, said = nodes.up(nodes.second, NO_FRONTEND)
    assert code == 0, said
    nodes.until_whole()


def test_etcd_is_restarted(nodes: Nodes) -> None:
    before = nodes.pids()
    with asking(nodes) as load:
        done = nodes.first.run(DYNKV, "restart", "etcd", "nats", "--name", "infra")
        assert done.returncode == 0, done.stderr
        time.sleep(3)
    assert load.problems == []
    nodes.until_whole()
    assert nodes.pids() == before


def test_a_node_is_gone_without_a_word(nodes: Nodes) -> None:
    """As when a machine loses power: no connection is closed, and no message is sent."""
    before = nodes.pids()
    with asking(nodes) as load:
        nodes.lose_each_other()
        try:
            nodes.until("it is taken for dead", lambda: nodes.status(nodes.first)["cluster"]["peers"] == [])
            nodes.until("what waits for it is let go", lambda: "closed" in nodes.told(nodes.first))
        finally:
            nodes.find_each_other()
    assert load.problems == []
    nodes.until("it is there again", lambda: nodes.answered_by(8) == {"decode": 2, "prefill": 2})
    nodes.until_whole()
    assert nodes.pids() == before


def test_nothing_is_left_over_on_either(nodes: Nodes) -> None:
    """After all other tests. The entries that it looks for existed before."""
    assert {"dynamo.mocker" in line for line in nodes.processes()} == {True, False}
    nodes.down()
    assert nodes.processes() == []
    assert nodes.entries() == []
