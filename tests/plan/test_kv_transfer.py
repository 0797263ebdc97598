"""vLLM's --kv-transfer-config of every worker, word for word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hosts import LOCAL_TINY, host, option, plan, profile

from dynkv.plan.kv_transfer import disables_hybrid_kv_cache_manager, kv_transfer_config
from dynkv.plan.model import Role

LMCACHE = {
    "kv_connector": "LMCacheMPConnector",
    "kv_role": "kv_both",
    "kv_connector_extra_config": {"lmcache.mp.port": 5555, "lmcache.mp.heartbeat_interval": 1.0},
}
NIXL = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}
NIXL_CPU = {**NIXL, "kv_buffer_device": "cpu"}


def both(nixl: dict[str, Any]) -> dict[str, Any]:
    """LMCache first: it answers what it has, and NIXL takes the whole prompt on to decode."""
    return {
        "kv_connector": "MultiConnector",
        "kv_role": "kv_both",
        "kv_connector_extra_config": {"connectors": [LMCACHE, nixl]},
    }


@pytest.mark.parametrize(
    ("topology", "role", "device", "sidecar", "expected"),
    [
        ("agg", Role.WORKER, "cuda", 5555, LMCACHE),
        ("agg", Role.WORKER, "cpu", 5555, LMCACHE),
        ("agg", Role.WORKER, "cuda", None, None),
        ("agg", Role.WORKER, "cpu", None, None),
        ("disagg", Role.DECODE, "cuda", 5555, NIXL),
        ("disagg", Role.DECODE, "cpu", 5555, NIXL_CPU),
        ("disagg", Role.DECODE, "cuda", None, NIXL),
        ("disagg", Role.DECODE, "cpu", None, NIXL_CPU),
        ("disagg", Role.PREFILL, "cuda", 5555, both(NIXL)),
        ("disagg", Role.PREFILL, "cpu", 5555, both(NIXL_CPU)),
        ("disagg", Role.PREFILL, "cuda", None, NIXL),
        ("disagg", Role.PREFILL, "cpu", None, NIXL_CPU),
    ],
)
def test_config(topology: str, role: Role, device: str, sidecar: int | None, expected: dict[str, Any] | None) -> None:
    made = kv_transfer_config(profile(topology, {"device": device}), role, sidecar)
    assert made == expected


def test_workers_are_given_it_with_the_sidecars_own_port() -> None:
    made = plan("agg", host(1, taken_ports={5555: "pid 1"}), {"lmcache.heartbeat_interval_s": 2.5})
    config = json.loads(option(made.unit("worker-0").argv, "--kv-transfer-config") or "")
    assert made.unit("lmcache").ports["zmq"] == 5556
    assert config["kv_connector_extra_config"] == {"lmcache.mp.port": 5556, "lmcache.mp.heartbeat_interval": 2.5}


def test_without_a_connector_there_is_no_option() -> None:
    made = plan("agg", host(1), {"lmcache.enabled": False})
    assert option(made.unit("worker-0").argv, "--kv-transfer-config") is None


@pytest.mark.parametrize("enabled", [True, False])
def test_every_worker_has_the_same_answer_about_the_hybrid_kv_cache_manager(enabled: bool) -> None:
    settings = {"lmcache.enabled": enabled}
    made = plan("disagg", host(4), settings)
    assert disables_hybrid_kv_cache_manager(profile("disagg", settings)) is enabled
    assert {"--disable-hybrid-kv-cache-manager" in unit.argv for unit in made.workers} == {enabled}


def test_kv_events_come_from_whoever_computes_prompts() -> None:
    router = {"frontend.router_mode": "kv"}
    assert "kv_events" in plan("agg", host(1), router).unit("worker-0").ports
    assert "kv_events" not in plan("agg", host(1)).unit("worker-0").ports
    made = plan("disagg", host(2), router)
    assert "kv_events" not in made.unit("decode-0").ports
    port = made.unit("prefill-0").ports["kv_events"]
    config = json.loads(option(made.unit("prefill-0").argv, "--kv-events-config") or "")
    assert config == {
        "publisher": "zmq",
        "topic": "kv-events",
        "endpoint": f"tcp://*:{port}",
        "enable_kv_cache_events": True,
    }


def test_the_mocker_transfers_nothing() -> None:
    made = plan("disagg", host(0, model=LOCAL_TINY), {"engine": "mocker", "model.path": "tiny"})
    assert not any("--kv-transfer-config" in unit.argv for unit in made.workers)
