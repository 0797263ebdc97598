"""Properties of a plan."""

from __future__ import annotations

from typing import Any

import pytest
from hosts import host, plan

from dynkv.plan.serving import Frontend


@pytest.mark.parametrize(
    ("host_name", "endpoint"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("box.lan", "http://box.lan:8000"),
    ],
)
def test_the_endpoint_can_be_reached_from_this_host(host_name: str, endpoint: str) -> None:
    assert Frontend(host_name, 8000, "m").endpoint == endpoint


def test_a_digest_is_the_same_each_time() -> None:
    before, same = plan("agg", host(1)).unit("worker-0"), plan("agg", host(1)).unit("worker-0")
    assert before.digest() == same.digest()


@pytest.mark.parametrize(
    "settings",
    [
        {"env": {"MY_OWN": "x"}},
        {"env": {"PATH": "/opt/bin"}},
        {"workers.gpus": [1]},
        {"workers.gpu_memory_fraction": 0.5},
        {"model.max_length": 1000},
    ],
    ids=str,
)
def test_a_digest_changes_with_what_a_child_has_to_be_restarted_for(settings: dict[str, Any]) -> None:
    before, after = plan("agg", host(2), {"workers.gpus": [0]}), plan("agg", host(2), {"workers.gpus": [0], **settings})
    assert before.unit("worker-0").digest() != after.unit("worker-0").digest()


@pytest.mark.parametrize(
    "settings",
    [
        {"restart.max_restarts": 99},
        {"probes.worker.liveness.stall_seconds": 500},
        {"standby": "always"},
        {"logs.keep": 9},
    ],
    ids=str,
)
def test_a_digest_stays_with_what_only_the_supervisor_does(settings: dict[str, Any]) -> None:
    before, after = plan("agg", host(1)), plan("agg", host(1), settings)
    assert [unit.digest() for unit in before.units] == [unit.digest() for unit in after.units]


def test_a_digest_changes_with_what_a_unit_of_ones_own_is_given() -> None:
    own = {"name": "exporter", "argv": ["/usr/bin/exporter"]}
    first, second, same = (
        plan("agg", host(1, environ={"PATH": path}), {"units": [{**own, "env": env}]}).unit("exporter").digest()
        for path, env in (("/bin", {"PATH": "/a"}), ("/bin", {"PATH": "/b"}), ("/usr/bin", {"PATH": "/a"}))
    )
    assert first == same != second


def test_a_digest_stays_in_another_terminal() -> None:
    here = {"PATH": "/bin", "TERM": "xterm", "HF_HOME": "/models"}
    there = {"PATH": "/usr/bin:/bin", "LANG": "C", "LC_ALL": "C", "HF_HOME": "/models"}
    first, second, third = (
        plan("agg", host(1, environ=environ)).units for environ in (here, there, {**there, "HF_HOME": "/other"})
    )
    assert second[0].env["PATH"] == "/usr/bin:/bin"
    assert [unit.digest() for unit in first] == [unit.digest() for unit in second]
    assert [unit.digest() for unit in second] != [unit.digest() for unit in third]
