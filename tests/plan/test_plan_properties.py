"""What is true of every plan: shipped profiles on any host, with any ports and names in use."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hosts import LOCAL_TINY, host, plan
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dynkv.errors import DynkvError
from dynkv.plan.facts import HostFacts, PathFacts
from dynkv.plan.model import Plan, Role
from dynkv.plan.order import start_stages, stop_stages
from dynkv.plan.ports import SYSTEM_PORT_MAX
from dynkv.plan.worker import program_of
from dynkv.profile.engines import ENGINES
from dynkv.profile.load import shipped

SECRET = "s3cr3t-value"
SECRET_NAMES = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "DB_PASSWORD")
NEAR = [*range(5555, 5560), *range(8001, 8100), *range(20081, 20130)]


@st.composite
def hosts(draw: st.DrawFn) -> HostFacts:
    taken = draw(st.sets(st.sampled_from(NEAR) | st.integers(8001, 40000), max_size=60))
    kept = draw(st.dictionaries(st.sampled_from(KEPT_NAMES), st.sampled_from(NEAR), max_size=4))
    return host(
        draw(st.integers(0, 8)),
        taken_ports=dict.fromkeys(taken, "pid 1 (something)"),
        kept_ports=kept,
        environ={"PATH": "/bin", "PROMETHEUS_MULTIPROC_DIR": "/tmp/x", "PYTHONHASHSEED": "7", "HF_TOKEN": SECRET},
        secret_names=tuple(sorted(draw(st.sets(st.sampled_from(SECRET_NAMES))))),
        packages=draw(st.sampled_from([PACKAGES, {**PACKAGES, "ai-dynamo": "1.3.1"}, {"ai-dynamo": "1.6.1"}])),
        model=LOCAL_TINY,
    )


PACKAGES = {"ai-dynamo": "1.6.1", "vllm": "0.31.0", "lmcache": "0.5.6", "nixl": "1.4.1"}
KEPT_NAMES = ["lmcache.zmq", "lmcache.http", "worker-0.system", "worker-1.system", "decode-0.nixl", "prefill-0.system"]

CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "engine": st.sampled_from([*ENGINES]),
    "device": st.sampled_from(["cuda", "cpu"]),
    "lmcache.enabled": st.booleans(),
    "frontend.router_mode": st.sampled_from(["kv", "random"]),
    "workers.tensor_parallel_size": st.sampled_from([1, 2, 4]),
    "workers.pipeline_parallel_size": st.sampled_from([1, 2]),
    "workers.data_parallel_size": st.sampled_from([1, 2, 4]),
    "workers.gpus": st.lists(st.integers(0, 7), max_size=8),
    "workers.replicas": st.integers(1, 8),
    "workers.decode.replicas": st.integers(1, 4),
    "workers.prefill.replicas": st.integers(1, 4),
    "workers.decode_per_prefill": st.integers(1, 8),
}
SETTINGS = st.fixed_dictionaries({}, optional=CHOICES)


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, HostFacts, dict[str, Any]]:
    facts, chosen = draw(hosts()), draw(SETTINGS)
    given_env = {"env": dict.fromkeys(draw(st.sets(st.sampled_from(SECRET_NAMES))), SECRET)}
    name = draw(st.sampled_from([name for name in shipped() if name != "infra"]))  # it has no stack
    made = None
    try:
        made = plan(name, facts, {**chosen, **given_env})
    except DynkvError as error:
        assert error.exit_code in (2, 4)
        assert error.hint
    assume(made is not None)
    assert made is not None
    return made, facts, chosen


each_plan = settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


@each_plan
@given(plans())
def test_ports(case: tuple[Plan, HostFacts, dict[str, Any]]) -> None:
    made, facts, chosen = case
    ranks = math.prod(size for key, size in chosen.items() if key.endswith("_parallel_size"))
    ports: list[int] = []
    for unit in made.units:
        for name, port in unit.ports.items():
            ports.append(port)
            assert name != "nixl" or [unit.ports[f"nixl-{rank}"] - port for rank in range(1, ranks)] == [
                *range(1, ranks)
            ]
        assert unit.ports.get("system", 0) <= SYSTEM_PORT_MAX
    assert len(ports) == len(set(ports))
    assert not set(ports) & facts.taken_ports.keys()
    assert made.unit("frontend").ports == {"http": 8000}


@each_plan
@given(plans())
def test_gpus(case: tuple[Plan, HostFacts, dict[str, Any]]) -> None:
    made, facts, chosen = case
    if not ENGINES[made.engine].computes or made.device == "cpu":
        assert all(unit.env.get("CUDA_VISIBLE_DEVICES", "") == "" for unit in made.units)
        return
    ranks = math.prod(size for key, size in chosen.items() if key.endswith("_parallel_size"))
    given_out = [gpu for unit in made.workers for gpu in unit.gpus]
    assert set(given_out) <= {gpu.visible_as for gpu in facts.gpus}
    assert all(len(unit.gpus) == len(set(unit.gpus)) == ranks for unit in made.workers)
    assert made.profile == "disagg-1gpu" or len(given_out) == len(set(given_out))
    assert all(unit.env["CUDA_VISIBLE_DEVICES"] == ",".join(unit.gpus) for unit in made.workers)
    assert made.unit("frontend").gpus == ()


@each_plan
@given(plans())
def test_order(case: tuple[Plan, HostFacts, dict[str, Any]]) -> None:
    made, _, _ = case
    stage = {name: number for number, names in enumerate(start_stages(made.units)) for name in names}
    assert stage.keys() == {unit.name for unit in made.units}
    for unit in made.workers:
        assert all(stage[needed.unit] < stage[unit.name] for needed in unit.depends_on)
        assert stage["frontend"] < stage[unit.name]
        assert stage.get("lmcache", -1) < stage[unit.name]
    decode = [stage[unit.name] for unit in made.units if unit.role is Role.DECODE]
    assert all(max(decode) < stage[unit.name] for unit in made.units if unit.role is Role.PREFILL)
    stops = stop_stages(made.units)
    assert stops[0] == ["frontend"]
    assert sorted(name for names in stops for name in names) == sorted(stage)
    assert sorted(stops[1]) == sorted(set(stage) - {"frontend"})


@each_plan
@given(plans())
def test_workers_agree(case: tuple[Plan, HostFacts, dict[str, Any]]) -> None:
    made, _, _ = case
    assert made.workers
    assert len({"--disable-hybrid-kv-cache-manager" in unit.argv for unit in made.workers}) == 1
    assert len({program_of(unit) for unit in made.workers}) == 1


@each_plan
@given(plans())
def test_environment(case: tuple[Plan, HostFacts, dict[str, Any]]) -> None:
    made, _, _ = case
    assert SECRET.encode() not in msgspec.json.encode(made)
    assert {unit.env["PYTHONHASHSEED"] for unit in made.units} == {"0"}
    assert not any("PROMETHEUS_MULTIPROC_DIR" in unit.env for unit in made.units)
    for unit in made.units:
        assert not set(unit.secret_env) & unit.env.keys()


@pytest.mark.parametrize("name", shipped())
def test_a_plan_is_the_same_wherever_it_is_made(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The plan knows the host only from the facts."""
    l2 = [{"type": "fs", "base_path": path} for path in ("~/kv", "~anna/kv", "kv", "${DYNKV_HOME}/kv")]
    chosen = {"lmcache.l2": l2, "model.path": "./models/mine"}
    facts = host(2, paths=PathFacts("/there", {"": "/home/me", "anna": "/home/anna"}))
    here = plan(name, facts, chosen)
    for variable in ("HOME", "DYNKV_HOME", "PWD", "XDG_STATE_HOME", "HF_HOME", "PATH"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert plan(name, facts, chosen) == here
    assert str(tmp_path).encode() not in msgspec.json.encode(here)


@each_plan
@given(plans())
def test_a_plan_survives_the_journal(case: tuple[Plan, HostFacts, dict[str, Any]]) -> None:
    made, _, _ = case
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made
