"""A real Prometheus for a real deployment under load: no query of a dashboard is empty without a reason."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from threading import Event, Thread

import openai
import pytest
from watching import Prometheus, watched

from dynkv.observe.names import STACK_METRICS, Program

from .asking import chat_in_pieces
from .harness import MOCKER, Dynkv, Status, free_port, unit, wait_for

pytestmark = pytest.mark.stack

EMPTY = {
    "gpu": "the host of the tests has no GPU",
    "nixl": "the mocker moves no KV blocks",
    "vllm:prefix_cache": "the mocker has no prefix cache of its own",
    "vllm:(prompt|generation)_tokens": "the mocker does not count tokens; the frontend does",
    "lmcache_mp_lookup": "the mocker looks nothing up at the sidecar",
}
"""Subjects whose queries may have no result here, and why. All others must have one."""


@pytest.fixture(scope="module")
def deployment(module_dynkv: Dynkv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dynkv]:
    level = json.dumps([{"type": "fs", "base_path": str(tmp_path_factory.mktemp("l2"))}])
    module_dynkv.up("agg", *MOCKER, "--set", f"lmcache.l2={level}", "--set", f"metrics.port={free_port()}")
    yield module_dynkv


@pytest.fixture(scope="module")
def prometheus(deployment: Dynkv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    out = tmp_path_factory.mktemp("watch")
    deployment.do("observe", "--out", str(out))
    with watched(out) as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def under_load(deployment: Dynkv) -> Iterator[None]:
    """Send one request after the other until the block ends."""
    over = Event()

    def ask() -> None:
        while not over.wait(0.2):
            try:
                chat_in_pieces(deployment.endpoint, "tiny", "Hello")
            except openai.OpenAIError:  # a worker is being killed
                continue

    client = Thread(target=ask, daemon=True)
    client.start()
    yield
    over.set()
    client.join(30)


def url(dynkv: Dynkv) -> str:
    found: str = dynkv.status()["metrics_url"]
    return found


def read(where: str) -> str:
    with urllib.request.urlopen(where, timeout=20) as response:
        text: str = response.read().decode()
    return text


def _is_killed_and_back(dynkv: Dynkv) -> Status:
    before = dynkv.status()
    os.kill(unit(before, "worker-0")["pid"], signal.SIGKILL)
    return dynkv.wait_for_restart("worker-0", before)


def test_every_query_gives_something_or_has_a_reason_not_to(
    deployment: Dynkv, prometheus: Prometheus, under_load: None
) -> None:
    prometheus.until(lambda: prometheus.ask('up{job="dynkv"} == 1'))
    prometheus.until(lambda: prometheus.ask("sum(rate(dynamo_frontend_requests_total[10s])) > 0"))
    after = _is_killed_and_back(deployment)
    prometheus.until(lambda: prometheus.ask("sum(increase(dynkv_unit_outages_total[1m])) > 0"))
    units = [one["name"] for one in after["units"]]
    assert all(it["value"][1] == "1" for it in prometheus.ask("dynkv_scrape_ok"))
    excused = re.compile("|".join(EMPTY))

    def all_there() -> bool:
        return not any(excused.search(query) is None for query in prometheus.unanswered("agg", units))

    wait_for(all_there, f"an answer to {prometheus.unanswered('agg', units)}")
    unanswered = prometheus.unanswered("agg", units)
    for about, why in EMPTY.items():
        assert any(re.search(about, query) for query in unanswered), f"this is no reason any more: {why}"


def test_rules_are_evaluated_without_a_fault(deployment: Dynkv, prometheus: Prometheus, under_load: None) -> None:
    prometheus.until(lambda: prometheus.ask("dynkv:first_token_seconds:p95_5m"))
    rules = [rule for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}, [it for it in rules if it["health"] != "ok"]
    assert len(rules) > 15


BESIDES = {"__name__", "deployment", "unit", "role", "instance", "job", "le", "error_type"}
"""Labels of every series, and one that is empty, hence absent for Prometheus, as long as nothing fails."""


def test_metrics_of_the_stack_have_the_types_and_labels_that_are_written_of_them(
    deployment: Dynkv, prometheus: Prometheus, under_load: None
) -> None:
    prometheus.until(lambda: prometheus.ask("sum(dynamo_frontend_requests_total) > 0"))
    types = prometheus.get("/api/v1/metadata")
    seen = set()
    for name, metric in STACK_METRICS.items():
        series = name if metric.kind != "histogram" else f"{name}_count"
        for labels in prometheus.get(f"/api/v1/series?match[]={series}"):
            kinds = {it["type"] for it in types.get(name) or types[name.removesuffix("_total")]}
            assert (name, kinds, {*labels} - BESIDES) == (name, {metric.kind}, {*metric.labels} - BESIDES)
            seen.add(name)
    assert {name for name, metric in STACK_METRICS.items() if metric.program is Program.DYNAMO} <= seen


def test_each_unit_can_be_asked_by_itself(deployment: Dynkv) -> None:
    groups = json.loads(read(url(deployment).replace("/metrics", "/sd")))
    assert {it["labels"]["unit"] for it in groups} == {"lmcache", "frontend", "worker-0"}
    for group in groups:
        assert "# TYPE" in read(f"http://{group['targets'][0]}{group['labels']['__metrics_path__']}")


def test_counters_and_port_survive_the_supervisor(deployment: Dynkv) -> None:
    """Runs after the test that has killed a worker."""
    where = url(deployment)
    counted = re.search(r'dynkv_unit_outages_total\{[^}]*unit="worker-0"[^}]*reason="died"\} (\d+)', read(where))
    assert counted is not None
    assert int(counted[1]) >= 1
    before = deployment.status()
    os.kill(before["supervisor"]["pid"], signal.SIGKILL)
    deployment.do(*deployment.up_words("agg", *MOCKER), timeout_s=90)
    after = deployment.status()
    assert unit(after, "worker-0")["pid"] == unit(before, "worker-0")["pid"]
    assert url(deployment) == where, "the port is kept, also by a profile that names none"
    assert f"{counted[0]}\n" in read(where)
