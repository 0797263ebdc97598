"""vLLM's --kv-transfer-config of every worker, word for word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hosts import LOCAL_TINY, host, option, plan, profile

from dynkv.errors import ProfileError
from dynkv.plan.kv_transfer import disables_hybrid_kv_cache_manager, kv_transfer_config
from dynkv.plan.model import Role

LMCACHE: dict[str, Any] = {
    "kv_connector": "LMCacheMPConnector",
    "kv_role": "kv_both",
    "kv_connector_extra_config": {"lmcache.mp.port": 5555, "lmcache.mp.heartbeat_interval": 1.0},
}
NIXL = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}
NIXL_CPU = {**NIXL, "kv_buffer_device": "cpu"}


def both(nixl: dict[str, Any]) -> dict[str, Any]:
    """LMCache first: it loads what it has, and NIXL transfers the whole prompt to decode."""
    return {
        "kv_connector": "MultiConnector",
        "kv_role": "kv_both",
        "kv_connector_extra_config": {"connectors": [LMCACHE, nixl]},
    }


def with_own_sidecar(nixl: dict[str, Any]) -> dict[str, Any]:
    """NIXL first: what prefill has computed for this request. LMCache stores what decode generates, too."""
    extra = {**LMCACHE["kv_connector_extra_config"], "lmcache.mp.save_decode_cache": True}
    module = {"kv_connector_module_path": "lmcache.integration.vllm.lmcache_mp_connector"}
    own = {**LMCACHE, **module, "kv_connector_extra_config": extra}
    return {**both(nixl), "kv_connector_extra_config": {"connectors": [nixl, own]}}


@pytest.mark.parametrize(
    ("topology", "role", "device", "sidecar", "expected"),
    [
        ("agg", Role.WORKER, "cuda", 5555, LMCACHE),
        ("agg", Role.WORKER, "cpu", 5555, LMCACHE),
        ("agg", Role.WORKER, "cuda", None, None),
        ("agg", Role.WORKER, "cpu", None, None),
        ("disagg", Role.DECODE, "cuda", 5555, with_own_sidecar(NIXL)),
        ("disagg", Role.DECODE, "cpu", 5555, with_own_sidecar(NIXL_CPU)),
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


def test_with_layout_both_each_role_has_a_sidecar_of_its_own() -> None:
    l2 = {"type": "fs", "base_path": "/kv"}
    made = plan("disagg", host(2), {"lmcache.layout": "both", "lmcache.l1_size_gb": 8, "lmcache.l2": [l2]})
    ports = {unit.name: unit.ports["zmq"] for unit in made.units if unit.role is Role.LMCACHE}
    assert ports == {"lmcache": 5555, "lmcache-decode": 5556}
    used = {}
    for unit in made.workers:
        config = json.loads(option(unit.argv, "--kv-transfer-config") or "")
        connectors = config["kv_connector_extra_config"]["connectors"]
        used[unit.name] = [it["kv_connector_extra_config"]["lmcache.mp.port"] for it in connectors if len(it) > 2]
    assert used == {"decode-0": [5556], "prefill-0": [5555]}
    needs = {unit.name: [it.unit for it in unit.depends_on if "lmcache" in it.unit] for unit in made.workers}
    assert needs == {"decode-0": ["lmcache-decode"], "prefill-0": ["lmcache"]}
    assert option(made.unit("lmcache").argv, "--l2-adapter")
    assert option(made.unit("lmcache-decode").argv, "--l2-adapter") is None


def test_layout_prefill_has_one_sidecar() -> None:
    made = plan("disagg", host(2), {"lmcache.layout": "prefill"})
    assert [unit.name for unit in made.units if unit.role is Role.LMCACHE] == ["lmcache"]


def test_both_layouts_share_the_same_memory_where_it_is_automatic() -> None:
    small = host(2, memory_available_bytes=48 * 1024**3)
    sizes = {
        layout: [option(u.argv, "--l1-size-gb") for u in plan("disagg", small, {"lmcache.layout": layout}).units]
        for layout in ("prefill", "both")
    }
    assert [size for size in sizes["prefill"] if size] == ["12"]
    assert [size for size in sizes["both"] if size] == ["6", "6"]


def test_agg_has_no_layout() -> None:
    with pytest.raises(ProfileError, match=r"lmcache\.layout"):
        profile("agg", {"lmcache.layout": "both"})


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
