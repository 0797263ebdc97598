"""Standbys in a plan, which contain nothing of a single unit."""

from __future__ import annotations

import pytest
from hosts import LOCAL_TINY, PACKAGES, host, plan, profile

from dynkv.plan.model import Role
from dynkv.plan.standby import why_none

ON_CPU = {"device": "cpu", "model.path": "tiny"}
TRACED = {"observability.otlp": "http://127.0.0.1:4317"}
ON_NODE = {"cluster.advertise": "10.0.0.1", "cluster.etcd": ["http://10.0.0.1:2379"]}


@pytest.mark.parametrize("mode", ["off", "start", "always"])
def test_the_mode_decides_what_there_is(mode: str) -> None:
    made = plan("agg", host(model=LOCAL_TINY), {**ON_CPU, "standby": mode})
    assert [(standby.name, standby.keep) for standby in made.standbys] == {
        "off": [],
        "start": [("standby", False)],
        "always": [("standby", True), ("standby-helper", True)],
    }[mode]


@pytest.mark.parametrize("settings", [{"lmcache.enabled": False}, {"engine": "mocker"}])
def test_no_helper_where_nothing_is_registered(settings: dict[str, object]) -> None:
    made = plan("agg", host(model=LOCAL_TINY), {**ON_CPU, "standby": "always", **settings})
    assert [standby.name for standby in made.standbys] == ["standby"]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"standby": "off"}, "with --set standby=always it does"),
        ({"engine": "mocker", "standby": "off"}, "with --set standby=always it does"),
        ({"engine": "mocker", **TRACED}, "the mocker has nothing to import ahead while observability.otlp is set"),
        ({"engine": "mocker", **TRACED, "standby": "off"}, "the mocker has nothing to import ahead while"),
        ({**ON_NODE, "workers.replicas": 0}, "it has none here"),
    ],
)
def test_why_there_is_none(settings: dict[str, object], why: str) -> None:
    chosen = {**ON_CPU, **settings}
    made = plan("agg", host(model=LOCAL_TINY), chosen)
    assert made.standbys == ()
    assert why in why_none(profile("agg", chosen), has_workers=bool(made.workers))


LMCACHE = "vllm.distributed.kv_transfer.kv_connector.v1.lmcache_mp_connector"
TRITON, TORCH = "triton.runtime.cache:triton_key", "torch._inductor.codecache:torch_key"


def late(topology: str, settings: dict[str, object]) -> tuple[str, ...]:
    return plan(topology, host(2), settings).standbys[0].late


def test_what_workers_on_gpus_import_only_later_is_imported_too() -> None:
    assert {LMCACHE, TRITON, TORCH} <= {*late("agg", {})}
    assert LMCACHE not in late("agg", {"lmcache.enabled": False})
    assert TORCH not in late("agg", {"model.args": ["--enforce-eager"]})
    for modules in (late("disagg", {}), late("disagg", {"lmcache.enabled": False})):
        assert "vllm.distributed.kv_transfer.kv_connector.v1.nixl" in modules
    assert "lmcache.integration.vllm.lmcache_mp_connector" in late("disagg", {"lmcache.layout": "both"})


def test_where_vllm_looks_through_all_modules_none_is_added() -> None:
    """On a CPU it searches them for Triton's kernels, and fails at llvmlite's, which LMCache imports (vllm 0.31.0)."""
    for engine in ("vllm", "mocker"):
        assert plan("agg", host(model=LOCAL_TINY), {**ON_CPU, "engine": engine}).standbys[0].late == ()


def test_one_serves_both_roles() -> None:
    assert plan("disagg", host(2)).standbys[0].roles == (Role.DECODE, Role.PREFILL)


@pytest.mark.parametrize("gpus", [1, 2])
def test_it_holds_nothing_of_a_single_unit(gpus: int) -> None:
    """Two workers differ only in what belongs to one of them, so the test names what that is."""
    made = plan("agg-router" if gpus == 2 else "agg", host(gpus))
    env = made.standbys[0].env
    ports = {str(port) for unit in made.units for port in unit.ports.values()}
    assert not ports & set(env.values())
    assert not {"CUDA_VISIBLE_DEVICES", "DYN_SYSTEM_PORT", "VLLM_NIXL_SIDE_CHANNEL_PORT"} & env.keys()
    workers = made.workers
    assert all(unit.env[name] == value for unit in workers for name, value in env.items())
    assert env["PYTHONHASHSEED"] == "0"


def test_in_disagg_no_side_channel_and_no_cores() -> None:
    env = plan("disagg", host(model=LOCAL_TINY, cpus=(0, 1)), ON_CPU).standbys[0].env
    assert not {"VLLM_CPU_OMP_THREADS_BIND", "VLLM_NIXL_SIDE_CHANNEL_PORT", "VLLM_NIXL_SIDE_CHANNEL_HOST"} & env.keys()
    assert env["OMP_NUM_THREADS"] == "1"


def test_the_engine_decides_what_is_imported() -> None:
    on_gpu, on_cpu = plan("agg", host(1)).standbys[0], plan("agg", host(model=LOCAL_TINY), ON_CPU).standbys[0]
    assert "vllm.v1.worker.gpu_worker" in on_gpu.modules
    assert "vllm.v1.worker.cpu_worker" in on_cpu.modules
    assert (on_gpu.cuda, on_cpu.cuda) == (True, False)
    mocker = plan("agg", host(model=LOCAL_TINY), {"engine": "mocker", "model.path": "tiny"}).standbys[0]
    assert mocker.modules == ("dynamo.mocker.main",)


@pytest.mark.parametrize(
    ("lmcache", "module"),
    [("0.5.6", "lmcache.v1.multiprocess.transport.factory"), ("0.5.2", "lmcache.v1.multiprocess.mq")],
)
def test_the_sidecars_standby_imports_the_client_of_its_version(lmcache: str, module: str) -> None:
    facts = host(1, packages={**PACKAGES, "lmcache": lmcache})
    assert plan("agg", facts, {"standby": "always"}).standbys[1].modules[-1] == module


def test_a_unit_is_the_same_whether_it_starts_from_one_or_not() -> None:
    """So that a supervisor takes over children if only this has changed."""
    digests = {mode: [u.digest() for u in plan("agg", host(1), {"standby": mode}).units] for mode in ("off", "always")}
    assert digests["off"] == digests["always"]
