"""Prefill on one node and decode on the other with real vLLM: blocks go through NIXL over TCP.

Two engines with a CPU each take minutes, so this runs only on request: `DYNKV_LONG_TESTS=1`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from nodes import can_be_had
from pair import DECODE, PREFILL, QUESTION, Nodes, with_infra

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif("DYNKV_LONG_TESTS" not in os.environ, reason="takes minutes: DYNKV_LONG_TESTS=1"),
    pytest.mark.skipif(not can_be_had(), reason="needs root, nsenter and unshare for two network namespaces"),
]
ENGINE = ("--device", "cpu", "--model", "tiny", "--no-lmcache", "--set", "standby=off")
OVER_TCP = ("--set", 'env={"UCX_TLS":"tcp,self"}')
"""By default UCX would notice that both are on one host, and use shared memory."""
MOVED = "vllm:nixl_bytes_transferred_sum"


@pytest.fixture
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Each engine has its own CPU: on the same ones they starve each other."""
    with with_infra(tmp_path_factory.mktemp("engines")) as found:
        first, second = (
            replace(machine, bound=("taskset", "--cpu-list", cpu))
            for machine, cpu in ((found.first, "0"), (found.second, "1"))
        )
        yield Nodes(first, second, (*ENGINE, *OVER_TCP))


def test_a_prompt_is_computed_on_one_node_and_answered_by_the_other(nodes: Nodes) -> None:
    begun = nodes.up(nodes.first, PREFILL, "--no-wait")
    assert begun[0] == 0, begun[1]
    joined = nodes.up(nodes.second, DECODE)
    assert joined[0] == 0, joined[1]
    nodes.until_whole()
    before = moved(nodes)
    answer = nodes.ask({**QUESTION, "messages": [{"role": "user", "content": "word " * 300}]})
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["prompt_tokens"] > 300
    assert moved(nodes) > before
    ports = {unit["name"]: unit["ports"] for unit in nodes.status(nodes.second)["units"]}
    assert "lmcache" not in ports
    nodes.down()
    assert nodes.entries() == []


def moved(nodes: Nodes) -> float:
    """Bytes that decode has fetched from prefill."""
    (port,) = (unit["ports"]["system"] for unit in nodes.status(nodes.second)["units"] if unit["name"] == "decode-0")
    url = f"http://{nodes.second.address}:{port}/metrics"
    lines = nodes.second.run("curl", "-s", "--noproxy", "*", url).stdout.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(MOVED))
